import { createInterface, type Interface } from 'node:readline';
import type { ApiClient, NearbyView, PlaceRef } from '../../api/index.ts';
import { SojournError } from '../../common/index.ts';
import { type CommonOptions, type Output, usageError } from '../output.ts';
import { printable, shortId } from '../text.ts';
import { formatDuration } from '../units.ts';
import { withAgent } from '../with-agent.ts';

export interface NearbyOptions extends CommonOptions {
  /** Begin with this device as soon as it is there. */
  readonly with?: string;
  /** The code that the other screen shows. */
  readonly accept?: string;
}

type Attempt = NonNullable<NearbyView['attempt']>;

/** Until two devices are paired, an attempt with the device that was named has failed, or a person leaves. */
export async function nearby(options: NearbyOptions): Promise<void> {
  const code = options.accept?.replace(/[\s-]/g, '');
  if (code !== undefined && !/^\d{6}$/.test(code))
    throw usageError(
      'code-malformed',
      `${JSON.stringify(options.accept)} is not a code`,
      'Give the six digits that the other screen shows',
    );
  await withAgent(options, async (client, output) => {
    const paired = await new Conversation(client, output, options.with, code).run();
    output.done({ place: paired }, printable(`paired with ${paired.name}`));
  });
}

/** What is told and asked while devices nearby are watched. */
class Conversation {
  readonly #client: ApiClient;
  readonly #output: Output;
  readonly #wanted: string | undefined;
  readonly #code: string | undefined;
  readonly #end = Promise.withResolvers<PlaceRef>();
  readonly #told = new Set<string>();
  #view: NearbyView | undefined;
  #begun = false;
  /** An attempt that had ended before this command began is nobody's business. */
  #old: string | undefined;

  constructor(client: ApiClient, output: Output, wanted?: string, code?: string) {
    this.#client = client;
    this.#output = output;
    this.#wanted = wanted;
    this.#code = code;
  }

  async run(): Promise<PlaceRef> {
    const leave = new AbortController();
    const interrupt = () => this.#end.reject(left());
    process.once('SIGINT', interrupt);
    const lines = this.#code === undefined ? this.#listen() : undefined;
    const watching = this.#client
      .call('nearby.watch', {}, { signal: leave.signal, onItem: (view) => this.#take(view) })
      .then(() => undefined, this.#end.reject);
    try {
      return await this.#end.promise;
    } finally {
      process.off('SIGINT', interrupt);
      lines?.close();
      leave.abort();
      await watching;
    }
  }

  #listen(): Interface {
    const lines = createInterface({ input: process.stdin });
    lines.on('line', (line) => this.#heard(line.trim()));
    return lines;
  }

  #take(view: NearbyView): void {
    const first = this.#view === undefined;
    this.#view = view;
    this.#output.jsonLine({ nearby: view });
    const { attempt, devices, problem } = view;
    if (first) this.#greet(view);
    if (problem !== null) this.#once(problem.code, problem.text);
    for (const [index, { id, name, paired }] of devices.entries())
      this.#once(
        `device ${id}`,
        `${index + 1}  ${name} (${shortId(id)})${paired ? ', paired already' : ''}`,
      );
    if (attempt !== null && attempt.id !== this.#old) this.#attempt(attempt);
    else if (this.#wanted !== undefined && !this.#begun) this.#begin(this.#wanted);
  }

  #greet({ visibleAs, attempt }: NearbyView): void {
    const over = attempt?.state.kind === 'paired' || attempt?.state.kind === 'failed';
    if (over) this.#old = attempt?.id;
    if (this.#code === undefined) {
      this.#say(`Visible to devices nearby as ${visibleAs}, until this command ends.`);
      if (this.#wanted === undefined)
        this.#say('Run the same on the other device; type the number of a device to pair with it:');
    } else if (attempt?.state.kind !== 'comparing') this.#end.reject(nothingToAccept());
  }

  #attempt({ id, peer, state, msLeft }: Attempt): void {
    switch (state.kind) {
      case 'connecting':
      case 'concluding':
        return;
      case 'comparing': {
        if (this.#code !== undefined) {
          this.#answer(id, this.#code === state.code ? 'same' : 'different');
          return;
        }
        const shown = `${state.code.slice(0, 3)} ${state.code.slice(3)}`;
        const left = msLeft === null ? '' : ` (${formatDuration(msLeft)} left)`;
        this.#once(
          `compare ${id}`,
          `Does ${peer.name} show ${shown} too? Type yes, or no${left}; elsewhere "sojourn pair --accept CODE"`,
        );
        if (state.there) this.#once(`there ${id}`, `${peer.name} has confirmed it.`);
        return;
      }
      case 'paired':
        this.#end.resolve(state.place);
        return;
      case 'failed': {
        const { code, text: message, remedy } = state;
        const refused = this.#code !== undefined && code === 'pairing-codes-differ-here';
        const error = refused
          ? differs()
          : new SojournError({ kind: 'refused', code, message, remedy });
        // Whoever waits for anybody goes on waiting.
        if (this.#wanted !== undefined || this.#code !== undefined) this.#end.reject(error);
        else this.#once(`failed ${id}`, error.line);
      }
    }
  }

  #begin(wanted: string): void {
    const found = this.#view?.devices.some(
      ({ name, id }) => name === wanted || id.startsWith(wanted),
    );
    if (!found) return;
    this.#begun = true;
    this.#pair(wanted);
  }

  #heard(line: string): void {
    const { attempt, devices = [] } = this.#view ?? {};
    if (attempt?.state.kind === 'comparing' && attempt.id !== this.#old) {
      if (/^(y|yes)$/i.test(line)) this.#answer(attempt.id, 'same');
      else if (/^(n|no)$/i.test(line)) this.#answer(attempt.id, 'different');
      else this.#say('Type yes or no.');
      return;
    }
    const device = /^\d{1,2}$/.test(line) ? devices[Number(line) - 1] : undefined;
    if (device !== undefined) this.#pair(device.id);
    else if (line !== '') this.#say('Type the number of a device.');
  }

  #answer(attempt: string, answer: 'same' | 'different'): void {
    // Once: a second view of the same state brings no second answer.
    if (this.#told.has(`answer ${attempt}`)) return;
    this.#told.add(`answer ${attempt}`);
    this.#client.call('nearby.answer', { attempt, answer }).catch(this.#end.reject);
  }

  #pair(device: string): void {
    this.#client.call('nearby.pair', { device }).catch(this.#end.reject);
  }

  #once(key: string, text: string): void {
    if (this.#told.has(key)) return;
    this.#told.add(key);
    this.#say(text);
  }

  #say(text: string): void {
    if (!this.#output.json) this.#output.remark(printable(text));
  }
}

function left(): SojournError {
  return new SojournError({
    kind: 'cancelled',
    code: 'pairing-left',
    message: 'Nothing was paired, and this device is not visible any more',
  });
}

function nothingToAccept(): SojournError {
  return new SojournError({
    kind: 'conflict',
    code: 'nothing-to-accept',
    message: 'No device nearby is being paired with just now',
    remedy: 'Run "sojourn pair --nearby" on both devices first',
  });
}

function differs(): SojournError {
  return new SojournError({
    kind: 'refused',
    code: 'codes-differ',
    message: 'This device shows another code, so something may be between the two devices',
    remedy: 'Look at both screens again; try in a network that you trust',
  });
}
