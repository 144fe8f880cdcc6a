/** Mappings that follow the registry of an agent. While the agent is away, what it said last is good. */
import { setTimeout as delay } from 'node:timers/promises';
import { ApiClient, type MappingsView } from '../api/index.ts';
import { asSojournError, SojournError } from '../common/index.ts';
import {
  type Mapping,
  type Network,
  newest,
  type Registered,
  type Remark,
  registeredMappings,
} from '../mobility/controller/index.ts';
import type { MappingSource } from './mapping-source.ts';

/** Waits before an agent that went away is looked for again, ms; the last one repeats. */
const RECONNECT_MS = [100, 250, 500, 1_000, 2_000];

export interface AgentMappingsOptions {
  /** The agent's API socket. */
  readonly socket: string;
  /** The agent went away, or refuses; each reason once until it is back. */
  readonly lost: (reason: SojournError) => void;
  readonly back: () => void;
  /** Something that cannot be followed as it is; once while it is so. */
  readonly remark: (remark: Remark) => void;
}

export class AgentMappings implements MappingSource {
  readonly #options: AgentMappingsOptions;
  readonly #closed = new AbortController();
  #registered: Registered | undefined;
  #changed = () => {};
  #remarks = new Set<string>();

  private constructor(options: AgentMappingsOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the agent has told its mappings: without any, gateways would be emptied.
   * @throws SojournError `agent-not-running`, `no-home-addresses`, `mappings-too-many`, or as `ApiClient.connect`
   */
  static async connect(options: AgentMappingsOptions): Promise<AgentMappings> {
    const source = new AgentMappings(options);
    const begun = Promise.withResolvers<undefined>();
    const ended = source.#watch(() => begun.resolve(undefined));
    const refusal = await Promise.race([begun.promise, ended]);
    if (refusal !== undefined) throw refusal;
    void source.#keepWatching(ended);
    return source;
  }

  async read(network: Network): Promise<readonly Mapping[]> {
    if (this.#registered === undefined) throw new Error('the agent has told nothing yet');
    const { mappings, remarks } = registeredMappings(network, this.#registered);
    const before = this.#remarks;
    this.#remarks = new Set(remarks.map(({ text }) => text));
    for (const remark of remarks) if (!before.has(remark.text)) this.#options.remark(remark);
    return mappings;
  }

  follow(changed: () => void): void {
    this.#changed = changed;
  }

  close(): void {
    this.#closed.abort();
  }

  /** Never rejects. */
  async #keepWatching(ended: Promise<SojournError>): Promise<void> {
    const { signal } = this.#closed;
    const { lost, back } = this.#options;
    let told: string | undefined;
    let failures = 0;
    for (let reason = await ended; !signal.aborted; ) {
      if (reason.line !== told) lost(reason);
      told = reason.line;
      const wait = RECONNECT_MS[Math.min(failures++, RECONNECT_MS.length - 1)];
      await delay(wait, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      reason = await this.#watch(() => {
        told = undefined;
        failures = 0;
        back();
      });
    }
  }

  /** Resolves with why it ended. @param begun is called when the agent has told its mappings. */
  async #watch(begun: () => void): Promise<SojournError> {
    const { socket } = this.#options;
    const { signal } = this.#closed;
    let client: ApiClient | undefined;
    const end = () => client?.close();
    signal.addEventListener('abort', end, { once: true });
    try {
      client = await ApiClient.connect(socket);
      if (signal.aborted) client.close();
      let first = true;
      await client.call(
        'mappings.watch',
        {},
        {
          onItem: (told) => {
            this.#take(told);
            if (first) begun();
            first = false;
          },
        },
      );
      return ended(socket);
    } catch (error) {
      const reason = asSojournError(error);
      return reason.code === 'agent-not-running' ? notThere(socket, reason) : reason;
    } finally {
      signal.removeEventListener('abort', end);
      client?.close();
    }
  }

  #take(told: MappingsView): void {
    this.#registered = newest(this.#registered, told);
    this.#changed();
  }
}

function notThere(socket: string, cause: SojournError): SojournError {
  return new SojournError({
    kind: 'unreachable',
    code: 'agent-not-running',
    message: `No agent answers at ${socket}`,
    remedy:
      'Start the agent of the site that anchors the guests, and give "agent.sock" of its state directory',
    cause,
  });
}

function ended(socket: string): SojournError {
  return new SojournError({
    kind: 'unreachable',
    code: 'agent-gone',
    message: `The agent at ${socket} ended`,
    remedy: 'Start it again; until then guests are led to where they were',
  });
}
