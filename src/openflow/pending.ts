/** Requests that wait for their answers, by xid. */
import { SojournError } from '../common/index.ts';
import type { Clock } from './clock.ts';
import { OpenFlowError } from './errors.ts';
import type { ErrorMessage, Message } from './messages.ts';
import type { MultipartReplyBody } from './multipart.ts';
import { type AssemblyLimits, MultipartAssembler } from './multipart-parts.ts';

/** Any answer, multipart ones whole. */
export type Answer = Exclude<Message, { type: 'multipart-reply' }> | WholeReply;
export interface WholeReply {
  readonly type: 'multipart-reply';
  readonly body: MultipartReplyBody;
}

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
  readonly stopTimer: () => void;
}

export class PendingRequests {
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #timeoutMs: number;
  readonly #waiting = new Map<number, Waiting>();
  readonly #assembler: MultipartAssembler<MultipartReplyBody>;

  constructor(clock: Clock, limit: number, timeoutMs: number, assembly: AssemblyLimits) {
    this.#clock = clock;
    this.#limit = limit;
    this.#timeoutMs = timeoutMs;
    this.#assembler = new MultipartAssembler('reply', assembly);
  }

  has(xid: number): boolean {
    return this.#waiting.has(xid);
  }

  /** Waits for the answer to a request that is about to be sent. Rejects with OpenFlowError when the peer refuses it. */
  expect(xid: number, what: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.size >= this.#limit) {
        reject(lost(`${this.#limit} OpenFlow requests wait for an answer already`));
        return;
      }
      const stopTimer = this.#clock.after(this.#timeoutMs, () => {
        this.#waiting.delete(xid);
        this.#assembler.drop(xid);
        reject(lost(`The peer did not answer a ${what} within ${this.#timeoutMs / 1000} s`));
      });
      this.#waiting.set(xid, { resolve, reject, stopTimer });
    });
  }

  /** @returns whether the message was an answer that somebody waited for. @throws OpenFlowError as `MultipartAssembler.add`. */
  answer(xid: number, message: Message, length: number): boolean {
    const waiting = this.#waiting.get(xid);
    if (waiting === undefined) return false;
    if (message.type === 'error') {
      this.#end(xid, waiting).reject(refusal(message));
      return true;
    }
    if (message.type !== 'multipart-reply') {
      this.#end(xid, waiting).resolve(message);
      return true;
    }
    try {
      const body = this.#assembler.add(xid, message.more, message.body, length);
      if (body !== undefined) this.#end(xid, waiting).resolve({ type: 'multipart-reply', body });
    } catch (error) {
      this.#end(xid, waiting).reject(error as Error);
    }
    return true;
  }

  rejectAll(error: Error): void {
    for (const [xid, waiting] of this.#waiting) this.#end(xid, waiting).reject(error);
  }

  #end(xid: number, waiting: Waiting): Waiting {
    waiting.stopTimer();
    this.#waiting.delete(xid);
    this.#assembler.drop(xid);
    return waiting;
  }
}

function lost(message: string): SojournError {
  return new SojournError({ kind: 'unreachable', code: 'openflow-no-answer', message });
}

function refusal({ errorType, code, experimenter, data }: ErrorMessage): OpenFlowError {
  const about = Buffer.from(data.subarray(0, 64)).toString('hex');
  return new OpenFlowError(errorType, code, `refused by the peer: ${about}`, experimenter);
}
