/** The destination's QEMU while a guest arrives: exports for its disks, a socket for its memory. */
import { join } from 'node:path';
import { SojournError } from '../common/index.ts';
import type { GuestDisk } from '../guest/spec.ts';
import { applyDisk } from './disk-stream.ts';
import { relayToDestination } from './memory-relay.ts';
import { NbdClient } from './nbd/index.ts';
import type { ChannelPort, IncomingGuest } from './ports.ts';
import { capabilities, mirrorId } from './qemu-names.ts';

export interface IncomingEvents {
  /** Memory and all disks are complete, and the exports are closed. */
  readonly onLoaded: () => void;
  readonly onFailed: (error: unknown) => void;
}

export class IncomingQemu {
  readonly #guest: IncomingGuest;
  readonly #disks: readonly GuestDisk[];
  readonly #events: IncomingEvents;
  readonly #clients = new Map<string, NbdClient>();
  readonly #channels = new Set<ChannelPort>();
  readonly #offMigration: () => void;
  #applied = 0;
  #memoryDone = false;
  #hasMemory = false;
  #stopped = false;

  constructor(guest: IncomingGuest, disks: readonly GuestDisk[], events: IncomingEvents) {
    this.#guest = guest;
    this.#disks = disks;
    this.#events = events;
    this.#offMigration = guest.qmp.on('MIGRATION', ({ data }) => {
      if (data.status === 'completed') {
        this.#memoryDone = true;
        this.#check();
      } else if (data.status === 'failed') {
        events.onFailed(failed('QEMU could not load the guest'));
      }
    });
  }

  /** QEMU is ready for disks and memory when it resolves. */
  async prepare(): Promise<void> {
    const { qmp, directory } = this.#guest;
    const nbdPath = join(directory, 'nbd.sock');
    await qmp.execute(
      'migrate-set-capabilities',
      capabilities({ 'return-path': true, 'switchover-ack': true, events: true }),
    );
    if (this.#disks.length > 0) {
      await qmp.execute('nbd-server-start', {
        addr: { type: 'unix', data: { path: nbdPath } },
        'max-connections': this.#disks.length,
      });
    }
    for (const { name } of this.#disks) {
      await qmp.execute('block-export-add', {
        type: 'nbd',
        id: mirrorId(name),
        'node-name': name,
        name,
        writable: true,
      });
      this.#clients.set(name, await NbdClient.connect(nbdPath, name));
    }
    await qmp.execute('migrate-incoming', { uri: `unix:${this.#memoryPath}` });
  }

  get #memoryPath(): string {
    return join(this.#guest.directory, 'migrate.sock');
  }

  memory(channel: ChannelPort): void {
    if (this.#hasMemory) {
      channel.destroy(failed('memory came twice'));
      return;
    }
    this.#hasMemory = true;
    this.#adopt(channel);
    relayToDestination(channel, this.#memoryPath).catch((error: unknown) => {
      if (!this.#memoryDone) this.#events.onFailed(error);
    });
  }

  disk(channel: ChannelPort, name: string): void {
    const client = this.#clients.get(name);
    if (client === undefined) {
      channel.destroy(failed(`the disk ${name} came twice, or is not the guest's`));
      return;
    }
    this.#clients.delete(name);
    this.#adopt(channel);
    applyDisk(channel, client).then(
      () => {
        this.#applied += 1;
        client.close();
        this.#check();
      },
      (error: unknown) => {
        client.close();
        this.#events.onFailed(error);
      },
    );
  }

  /** Resets the streams: the source learns the reason from them. */
  stop(error: Error): void {
    if (this.#stopped) return;
    this.#stopped = true;
    for (const channel of this.#channels) channel.destroy(error);
  }

  async close(): Promise<void> {
    this.stop(failed('the handoff has ended'));
    this.#offMigration();
    for (const client of this.#clients.values()) client.close();
  }

  #adopt(channel: ChannelPort): void {
    this.#channels.add(channel);
    channel.on('close', () => this.#channels.delete(channel));
    if (this.#stopped) channel.destroy(failed('the handoff has ended'));
  }

  #check(): void {
    if (!this.#memoryDone || this.#applied < this.#disks.length || this.#stopped) return;
    this.#offMigration();
    this.#closeExports().then(this.#events.onLoaded, this.#events.onFailed);
  }

  /**
   * The guest's own devices cannot write while an export may. That no export is open is also how a restarted agent
   * knows that the disks are complete (`recovery.ts`).
   */
  async #closeExports(): Promise<void> {
    if (this.#disks.length > 0) await this.#guest.qmp.execute('nbd-server-stop');
  }
}

function failed(message: string): SojournError {
  return new SojournError({ kind: 'refused', code: 'destination-failed', message });
}
