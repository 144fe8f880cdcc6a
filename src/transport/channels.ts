/** The channels of one session: names, opens, finds and ends them. */

import { z } from 'zod';
import { SojournError, wireError } from '../common/index.ts';
import { Channel, type ChannelHost } from './channel.ts';
import { type Frame, FrameError, FrameType, wholePayload } from './frame.ts';
import { Lane, laneOf } from './lane.ts';
import { parsePeerJson } from './violation.ts';

/** Channels that one side opened and that are not over. */
export const MAX_CHANNELS = 64;
/** The peer may count a channel as over a little before we do. */
const MAX_PEER_CHANNELS = 2 * MAX_CHANNELS;
/** Channel numbers are 32 bits: number * 4 + lane * 2 + side. */
const MAX_NUMBER = 2 ** 30 - 1;

const open = z.strictObject({
  kind: z.string().regex(/^[a-z][a-z0-9:.-]{0,63}$/),
  meta: z.record(z.string(), z.unknown()),
});

export class Channels {
  readonly rpc: Channel;
  readonly #side: 0 | 1;
  readonly #host: ChannelHost;
  readonly #live = new Map<number, Channel>();
  readonly #handlers = new Map<string, (channel: Channel) => void>();
  readonly #counts = { ours: 0, peers: 0 };
  #lastOpened = 0;
  /** The last number the peer used, per lane: lanes overtake one another. */
  readonly #lastAccepted: [number, number] = [0, 0];

  constructor(
    side: 'dialer' | 'listener',
    sender: Pick<ChannelHost, 'ready' | 'windowMoved'> & { forget(channel: Channel): void },
  ) {
    this.#side = side === 'dialer' ? 0 : 1;
    this.#host = {
      ready: (channel) => sender.ready(channel),
      windowMoved: (channel) => sender.windowMoved(channel),
      done: (channel) => {
        sender.forget(channel);
        if (!this.#live.delete(channel.id)) return;
        this.#counts[this.#isOurs(channel.id) ? 'ours' : 'peers'] -= 1;
      },
    };
    this.rpc = new Channel(this.#host, { id: 0, kind: 'rpc', meta: {} });
  }

  /** Without the RPC channel. */
  get count(): number {
    return this.#live.size;
  }

  live(): Channel[] {
    return [this.rpc, ...this.#live.values()];
  }

  handle(kind: string, handler: (channel: Channel) => void): void {
    this.#handlers.set(kind, handler);
  }

  /** Errors: `too-many-channels`; TypeError or ZodError for what the peer would not accept. */
  open(kind: string, meta: Record<string, unknown>, priority: 'control' | 'bulk'): Channel {
    if (this.#counts.ours >= MAX_CHANNELS || this.#lastOpened >= MAX_NUMBER) {
      throw new SojournError({
        kind: 'conflict',
        code: 'too-many-channels',
        message: `${this.#counts.ours} transfers to the other place are under way, and no more are possible`,
        remedy: 'Wait until one of them is finished',
      });
    }
    const payload = Buffer.from(JSON.stringify(open.parse({ kind, meta })));
    if (payload.length > 8192) throw new RangeError(`${payload.length} bytes of channel meta`);
    this.#lastOpened += 1;
    const id = this.#lastOpened * 4 + Lane[priority] * 2 + this.#side;
    const channel = new Channel(this.#host, { id, kind, meta, open: payload });
    this.#add(channel);
    this.#host.ready(channel);
    return channel;
  }

  /** A channel that is not over. Throws FrameError for one that never was. */
  get(id: number): Channel | undefined {
    if (id === 0) return this.rpc;
    const channel = this.#live.get(id);
    if (channel !== undefined) return channel;
    const last = this.#isOurs(id) ? this.#lastOpened : this.#lastAccepted[laneOf(id)];
    if (id < 4 || Math.floor(id / 4) > last) throw new FrameError(`channel ${id} was never opened`);
    return undefined;
  }

  /** A numbered frame. Throws FrameError or SojournError when the peer breaks the protocol. */
  receive(frame: Frame): void {
    if (frame.type === FrameType.open) {
      this.#accept(frame);
      return;
    }
    const channel = this.get(frame.channel);
    // We ended it, and the peer did not know yet.
    if (channel === undefined) return;
    if (frame.type === FrameType.data) {
      channel.receive(frame.payload, frame.length);
      return;
    }
    if (channel === this.rpc) throw new FrameError('the end of the RPC channel');
    if (frame.type === FrameType.fin) channel.receiveFin();
    else channel.receiveReset(parsePeerJson(wireError, wholePayload(frame)));
  }

  close(reason: SojournError): void {
    for (const channel of this.live()) channel.sessionClosed(reason);
    this.#live.clear();
  }

  #accept(frame: Frame): void {
    const lane = laneOf(frame.channel);
    const number = Math.floor(frame.channel / 4);
    if (this.#isOurs(frame.channel) || number <= this.#lastAccepted[lane]) {
      throw new FrameError(`channel ${frame.channel} cannot be opened`);
    }
    if (this.#counts.peers >= MAX_PEER_CHANNELS) throw new FrameError('too many channels');
    this.#lastAccepted[lane] = number;
    const { kind, meta } = parsePeerJson(open, wholePayload(frame));
    const channel = new Channel(this.#host, { id: frame.channel, kind, meta });
    this.#add(channel);
    const handler = this.#handlers.get(kind);
    if (handler === undefined) channel.destroy(unknownKind(kind));
    else this.#hand(channel, handler);
  }

  #hand(channel: Channel, handler: (channel: Channel) => void): void {
    try {
      handler(channel);
    } catch (error) {
      channel.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #add(channel: Channel): void {
    this.#live.set(channel.id, channel);
    this.#counts[this.#isOurs(channel.id) ? 'ours' : 'peers'] += 1;
  }

  #isOurs(id: number): boolean {
    return (id & 1) === this.#side;
  }
}

function unknownKind(kind: string): SojournError {
  return new SojournError({
    kind: 'requirement',
    code: 'channel-unknown',
    message: `The other place does not accept transfers of the kind "${kind}" now`,
    remedy: 'Update Sojourn at both places, or try again',
  });
}
