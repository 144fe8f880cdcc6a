/**
 * A QEMU that is not quite the installed one, for tests: `errors-qemu.ts CHANGE ARGUMENT...`. Answers about itself are
 * changed on their way; a guest runs in the real one.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

export interface QemuChange {
  /** What `--version` says. */
  readonly version?: string;
  /** Names that QMP's answers do not contain. */
  readonly hide?: readonly string[];
}

const [, , change, ...given] = process.argv;
const { version, hide = [] } = JSON.parse(change ?? '{}') as QemuChange;

/** The next one on the PATH. */
function realQemu(): string {
  const [, ...rest] = (process.env.PATH ?? '').split(delimiter);
  const folder = rest.find((path) => existsSync(join(path, 'qemu-system-x86_64')));
  return join(folder ?? '/usr/bin', 'qemu-system-x86_64');
}

/** It dies with this process, however that ends. */
function startReal(args: readonly string[]): ChildProcess {
  return spawn('setpriv', ['--pdeathsig', 'KILL', realQemu(), ...args], { stdio: 'inherit' });
}

async function relay(real: ChildProcess, socket: string): Promise<void> {
  const inner = `${socket}.real`;
  const server = createServer(async (client) => {
    const qemu = connect(inner);
    qemu.on('error', () => client.destroy());
    client.on('error', () => qemu.destroy());
    client.on('close', () => qemu.destroy());
    client.pipe(qemu);
    for await (const line of createInterface({ input: qemu })) {
      const changed = hide.reduce((text, name) => text.replaceAll(`"${name}"`, '"hidden"'), line);
      client.write(`${changed}\r\n`);
    }
    client.end();
  });
  while (!existsSync(inner)) await sleep(5);
  server.listen(socket);
  await once(real, 'exit');
  process.exit(real.exitCode ?? 1);
}

if (version !== undefined && given.includes('--version')) {
  console.log(`QEMU emulator version ${version}`);
} else {
  const args = [...given];
  const at = args.indexOf('-qmp') + 1;
  const socket = /^unix:([^,]+)/.exec(args[at] ?? '')?.[1];
  if (at > 0 && socket !== undefined && hide.length > 0) {
    args[at] = `unix:${socket}.real,server=on,wait=off`;
    await relay(startReal(args), socket);
  } else {
    startReal(args).on('exit', (code) => process.exit(code ?? 1));
  }
}
