/** The standing connection to the agent: finds or starts it, follows its status, and finds it again. */
import { EventEmitter } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { ApiClient, apiSocketPath, PROTOCOL_VERSION, type Status } from '../../src/api/index.ts';
import { asSojournError, SojournError, toWireError } from '../../src/common/index.ts';
import { launchAgent } from './launch.ts';
import {
  initialLink,
  type LinkEffect,
  type LinkEvent,
  type LinkState,
  stepLink,
} from './machine.ts';
import { agentProgram } from './program.ts';

/** A status that could not be told is asked for again after so long, ms. */
const WATCH_AGAIN_MS = 500;

/** What the rest of the app sees of the agent. */
export type AgentState =
  | Exclude<LinkState, { kind: 'connected' }>
  | {
      readonly kind: 'connected';
      readonly version: string;
      /** Undefined until it has told. */
      readonly status: Status | undefined;
    };

export interface AgentLinkOptions {
  readonly stateDirectory: string;
  /** The folder that has the agent's sources. */
  readonly root: string;
  /** Where a package has its Node. */
  readonly bundledNode: string | undefined;
  readonly log: string;
  /** Of an agent that is started: `['--name', 'laptop']`. */
  readonly agentArguments: readonly string[];
}

export class AgentLink extends EventEmitter<{ state: [AgentState] }> {
  readonly #options: AgentLinkOptions;
  #state: LinkState = initialLink.state;
  #client: ApiClient | undefined;
  #status: Status | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: AgentLinkOptions) {
    super();
    this.#options = options;
  }

  get state(): AgentState {
    const state = this.#state;
    if (state.kind !== 'connected') return state;
    return { kind: 'connected', version: state.greeting.version, status: this.#status };
  }

  start(): void {
    this.#carryOut(initialLink.effects);
  }

  retry(): void {
    this.#take({ kind: 'retry' });
  }

  /** Ends the agent that runs, whose guests go on, and starts this app's. */
  replace(): void {
    this.#take({ kind: 'replace' });
  }

  /** For calls. @throws SojournError `agent-not-connected` */
  get client(): ApiClient {
    if (this.#client !== undefined && this.#state.kind === 'connected') return this.#client;
    throw new SojournError({
      kind: 'unreachable',
      code: 'agent-not-connected',
      message: 'The agent does not answer',
      remedy: 'Wait until it is back, or see what the tray says about it',
    });
  }

  /** A connection of its own, so that the calls of a window do not crowd out others. */
  connect(): Promise<ApiClient> {
    return ApiClient.connect(this.#socketPath);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#client?.close();
  }

  get #socketPath(): string {
    return apiSocketPath(this.#options.stateDirectory);
  }

  #take(event: LinkEvent): void {
    if (this.#closed) return;
    const { state, effects } = stepLink(this.#state, event, PROTOCOL_VERSION);
    const changed = state !== this.#state;
    this.#state = state;
    if (changed) this.emit('state', this.state);
    this.#carryOut(effects);
  }

  #carryOut(effects: readonly LinkEffect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'connect':
          void this.#connect();
          break;
        case 'start-agent':
          void this.#startAgent();
          break;
        case 'end-agent':
          void this.#endAgent();
          break;
        case 'wait':
          clearTimeout(this.#timer);
          this.#timer = setTimeout(() => this.#take({ kind: 'waited' }), effect.ms);
          break;
      }
    }
  }

  async #connect(): Promise<void> {
    let client: ApiClient;
    try {
      client = await this.connect();
    } catch (error) {
      const absent = asSojournError(error).code === 'agent-not-running';
      this.#take({ kind: 'not-found', absent, error: toWireError(error) });
      return;
    }
    if (this.#closed) return client.close();
    this.#client = client;
    void client.closed.then(() => {
      if (this.#client !== client) return;
      this.#client = undefined;
      this.#status = undefined;
      this.#take({ kind: 'gone' });
    });
    this.#take({ kind: 'found', greeting: client.greeting });
    if (this.#state.kind === 'connected') await this.#follow(client);
  }

  async #follow(client: ApiClient): Promise<void> {
    const take = (status: Status) => {
      this.#status = status;
      this.emit('state', this.state);
    };
    while (this.#client === client) {
      await client.call('status.watch', {}, { onItem: take }).catch(() => undefined);
      // What was asked on the same connection, a handoff for instance, goes on meanwhile.
      await delay(WATCH_AGAIN_MS);
    }
  }

  async #startAgent(): Promise<void> {
    const { root, bundledNode, stateDirectory, log, agentArguments } = this.#options;
    try {
      const program = await agentProgram(root, bundledNode);
      const agent = { ...program, stateDirectory, log, arguments: agentArguments };
      const { ended } = await launchAgent(agent);
      void ended.then((error) => this.#take({ kind: 'start-failed', error: toWireError(error) }));
    } catch (error) {
      this.#take({ kind: 'start-failed', error: toWireError(error) });
    }
  }

  async #endAgent(): Promise<void> {
    try {
      await this.#client?.call('agent.stop', { guests: 'keep' });
    } catch {
      // Its connection ends with it or is ended below; either way it is looked for again.
    }
    this.#client?.close();
  }
}
