/**
 * A desktop session of its own for one test file: X server, message bus, and a panel that shows tray icons. Everything is
 * below one folder and ends with it; nothing of the person's own session is touched.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Bus } from '../../electron/system/bus.ts';
import { within } from '../integration/agent-place.ts';
import { TrayHost } from './tray-host.ts';

const START_DEADLINE_MS = 20_000;
const STOP_DEADLINE_MS = 5_000;

/** One panel with nothing but the tray (xfce4-panel's own configuration). */
const PANEL = `<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-panel" version="1.0">
  <property name="configver" type="int" value="2"/>
  <property name="panels" type="array">
    <value type="int" value="1"/>
    <property name="panel-1" type="empty">
      <property name="position" type="string" value="p=6;x=0;y=0"/>
      <property name="length" type="uint" value="100"/>
      <property name="position-locked" type="bool" value="true"/>
      <property name="size" type="uint" value="30"/>
      <property name="plugin-ids" type="array"><value type="int" value="1"/></property>
    </property>
  </property>
  <property name="plugins" type="empty">
    <property name="plugin-1" type="string" value="systray">
      <property name="known-items" type="array"/>
    </property>
  </property>
</channel>`;

export class DesktopSession {
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly bus: Bus;
  readonly #processes: ChildProcess[];
  #panel: ChildProcess | undefined;

  private constructor(
    folder: string,
    environment: Record<string, string>,
    bus: Bus,
    processes: ChildProcess[],
  ) {
    this.folder = folder;
    this.environment = environment;
    this.bus = bus;
    this.#processes = processes;
  }

  static async start(): Promise<DesktopSession> {
    const folder = await mkdtemp(join(tmpdir(), 'desktop-'));
    const processes: ChildProcess[] = [];
    try {
      for (const name of ['run', 'config', 'cache', 'data'])
        await mkdir(join(folder, name), { mode: 0o700 });
      const environment: Record<string, string> = {
        PATH: process.env.PATH ?? '',
        HOME: folder,
        LANG: 'C.UTF-8',
        XDG_RUNTIME_DIR: join(folder, 'run'),
        XDG_CONFIG_HOME: join(folder, 'config'),
        XDG_CACHE_HOME: join(folder, 'cache'),
        XDG_DATA_HOME: join(folder, 'data'),
        // The accessibility bus is not ended with this one.
        NO_AT_BRIDGE: '1',
        GTK_A11Y: 'none',
      };
      const display = await startPrinting(
        processes,
        'Xvfb',
        ['-displayfd', '3', '-screen', '0', '1280x800x24', '-nolisten', 'tcp'],
        environment,
      );
      environment.DISPLAY = `:${display}`;
      const daemon = ['--session', '--nofork', '--nopidfile', '--print-address=3'];
      const address = await startPrinting(processes, 'dbus-daemon', daemon, environment);
      environment.DBUS_SESSION_BUS_ADDRESS = address;
      // Whatever looks for the host's own services must not find them.
      environment.DBUS_SYSTEM_BUS_ADDRESS = 'unix:path=/nonexistent';
      const bus = await Bus.connect('session', address);
      if (bus === undefined) throw new Error('the message bus does not answer');
      return new DesktopSession(folder, environment, bus, processes);
    } catch (error) {
      await stopAll(processes);
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** Starts the panel; resolves when it takes tray icons. */
  async startPanel(): Promise<TrayHost> {
    const folder = join(this.environment.XDG_CONFIG_HOME ?? '', 'xfce4/xfconf/xfce-perchannel-xml');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'xfce4-panel.xml'), PANEL);
    const host = await TrayHost.watch(this.bus);
    this.#panel = spawn('xfce4-panel', ['--disable-wm-check'], {
      env: this.environment,
      stdio: 'ignore',
    });
    this.#processes.push(this.#panel);
    await within(host.ready, START_DEADLINE_MS, 'the panel');
    return host;
  }

  async close(): Promise<void> {
    this.bus.disconnect();
    await stopAll(this.#processes);
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Starts a program that prints one line on descriptor 3 when it is ready; returns that line. */
async function startPrinting(
  processes: ChildProcess[],
  command: string,
  args: string[],
  env: Record<string, string>,
): Promise<string> {
  const child = spawn(command, args, { env, stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
  processes.push(child);
  const [, , , printed] = child.stdio;
  const line = Promise.withResolvers<string>();
  child.once('error', line.reject);
  child.once('exit', (code) => line.reject(new Error(`${command} ended with ${code}`)));
  if (printed === null || printed === undefined) throw new Error(`${command} prints nothing`);
  createInterface({ input: printed as ReturnType<typeof createReadStream> }).once(
    'line',
    line.resolve,
  );
  return (await within(line.promise, START_DEADLINE_MS, command)).trim();
}

/** The last one first: nobody shall lose what it stands on. */
async function stopAll(processes: ChildProcess[]): Promise<void> {
  for (const child of processes.reverse()) {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) continue;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS);
    await gone;
    clearTimeout(timer);
  }
}
