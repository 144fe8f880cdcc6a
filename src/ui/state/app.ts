/** All that the window knows, as signals; and everything it asks the agent to do. */
import { computed, signal } from '@preact/signals';
import type {
  CallInput,
  CallName,
  CallOutput,
  GuestView,
  Status,
  WireError,
} from '../../api/schema.ts';
import { languages } from '../messages/index.ts';
import { failureOf } from '../model/failure.ts';
import { complete, fail, type HandoffLog, observe } from '../model/handoffs.ts';
import { type LinkHistory, noHistory, readLink, sampled } from '../model/link.ts';
import { pressing, problemsOf } from '../model/problems.ts';
import type { AgentTransport, DesktopShell } from '../transport.ts';
import {
  applyPreferences,
  keepPreferences,
  loadPreferences,
  type Preferences,
} from './preferences.ts';
import { type Route, routeOf } from './route.ts';

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 10_000;

export type Connection =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'up' }
  | { readonly kind: 'down'; readonly error: WireError };

/** What is asked of the agent at present, by what it is about: a guest's id, or a name such as `pair`. */
export type Doing = 'handoff' | 'arm' | 'disarm' | 'start' | 'stop' | 'cancel' | 'other';

export class App {
  readonly transport: AgentTransport;
  readonly shell: DesktopShell;
  /** The desktop shell lets no page write files. */
  readonly canDownload: boolean;
  readonly connection = signal<Connection>({ kind: 'connecting' });
  readonly status = signal<Status | null>(null);
  readonly handoffs = signal<HandoffLog>([]);
  readonly link = signal<LinkHistory>(noHistory);
  readonly route = signal<Route>(routeOf(location.hash));
  readonly preferences = signal<Preferences>(loadPreferences());
  readonly doing = signal<ReadonlyMap<string, Doing>>(new Map());
  readonly failures = signal<ReadonlyMap<string, WireError>>(new Map());
  /** Said by screen readers when it changes. */
  readonly announcement = signal('');

  readonly language = computed(() => this.preferences.value.language);
  readonly messages = computed(() => languages[this.language.value]);
  readonly problems = computed(() => {
    const status = this.status.value;
    return status === null ? [] : problemsOf(status, Date.parse(status.at));
  });
  readonly pressingProblems = computed(() => pressing(this.problems.value));

  /** Without a shell, in a browser. */
  constructor(transport: AgentTransport, shell: DesktopShell | undefined) {
    this.transport = transport;
    this.shell = shell ?? {};
    this.canDownload = shell === undefined;
    applyPreferences(this.preferences.value);
    addEventListener('hashchange', () => {
      this.route.value = routeOf(location.hash);
    });
  }

  /** Follows the agent for as long as the page lives, through lost connections. */
  follow(retryMs = FIRST_RETRY_MS): void {
    let nextMs = retryMs;
    this.transport.subscribe('status.watch', {}, (event) => {
      if (event.kind === 'item') {
        nextMs = FIRST_RETRY_MS;
        this.#take(event.item);
        return;
      }
      this.connection.value = {
        kind: 'down',
        error: event.kind === 'error' ? event.error : agentEnded,
      };
      setTimeout(() => this.follow(Math.min(nextMs * 2, LAST_RETRY_MS)), nextMs);
    });
  }

  #take(status: Status): void {
    this.connection.value = { kind: 'up' };
    this.status.value = status;
    this.handoffs.value = observe(this.handoffs.value, status);
    this.link.value = sampled(this.link.value, readLink(status));
  }

  prefer(change: Partial<Preferences>): void {
    this.preferences.value = { ...this.preferences.value, ...change };
    applyPreferences(this.preferences.value);
    keepPreferences(this.preferences.value);
  }

  /**
   * Asks the agent, and shows under `subject` that it is asked and how it failed. Resolves with undefined when it
   * failed, or when the same subject is being asked about already.
   */
  async ask<Name extends CallName>(
    subject: string,
    doing: Doing,
    method: Name,
    params: CallInput<Name>,
  ): Promise<CallOutput<Name> | undefined> {
    if (this.doing.value.has(subject)) return undefined;
    this.doing.value = new Map(this.doing.value).set(subject, doing);
    this.dismiss(subject);
    try {
      return await this.transport.call(method, params);
    } catch (thrown) {
      this.show(subject, failureOf(thrown));
      return undefined;
    } finally {
      const left = new Map(this.doing.value);
      left.delete(subject);
      this.doing.value = left;
    }
  }

  show(subject: string, error: WireError): void {
    this.failures.value = new Map(this.failures.value).set(subject, error);
  }

  dismiss(subject: string): void {
    if (!this.failures.value.has(subject)) return;
    const left = new Map(this.failures.value);
    left.delete(subject);
    this.failures.value = left;
  }

  /** Its progress comes with the status; a cancelled one is no failure worth telling. */
  async handOff(
    guest: GuestView,
    to: string,
    manner: { urgent?: boolean; slowGuest?: boolean } = {},
  ): Promise<void> {
    const params = { guest: guest.id, to, ...manner };
    const result = await this.ask(guest.id, 'handoff', 'handoff.start', params);
    if (result !== undefined) {
      this.handoffs.value = complete(this.handoffs.value, result, Date.now());
      const { safety, states } = this.messages.value;
      this.announcement.value = `${guest.name}: ${states.elsewhere(result.to.name)}. ${safety.awayRunning}`;
      return;
    }
    const error = this.failures.value.get(guest.id);
    if (error === undefined) return;
    this.handoffs.value = fail(this.handoffs.value, guest.id, error);
    if (error.kind === 'cancelled') this.dismiss(guest.id);
  }
}

const agentEnded: WireError = {
  kind: 'unreachable',
  code: 'agent-gone',
  message: 'The agent does not answer',
  remedy: 'Start it if it has ended (guests go on without it)',
};
