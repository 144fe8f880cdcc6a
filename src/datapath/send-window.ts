/**
 * How many bytes may be under way on a tunnel. TCP and the kernel would queue megabytes, seconds on a slow
 * link, and every packet of every guest would wait behind them. So, as in a router with a short buffer, what
 * is under way is kept to what the link delivers in half a second, and more is dropped.
 * The rate is the highest of the last eight samples, each over at least 100 ms (a sender that has
 * nothing to send would measure itself otherwise; compare BBR, draft-ietf-ccwg-bbr, 5.5).
 */
const QUEUE_SECONDS = 0.5;
/**
 * Bytes; room for the first round trips on an unknown link, and for what a guest answers at once after a switchover: the
 * packets that were held for it came in one burst, and a rate measured before it says nothing about the link.
 */
const MIN_WINDOW = 1024 * 1024;
const MAX_WINDOW = 8 * 1024 * 1024;
const SAMPLE_MS = 100;
const SAMPLES = 8;

export class SendWindow {
  #sent = 0;
  #acknowledged = 0;
  #rates: number[] = [];
  #sampleAt: number;
  #sampleFrom = 0;

  /** @param now milliseconds. */
  constructor(now: number) {
    this.#sampleAt = now;
  }

  get inFlight(): number {
    return this.#sent - this.#acknowledged;
  }

  /** Bytes. */
  get limit(): number {
    const rate = Math.max(0, ...this.#rates);
    return Math.min(MAX_WINDOW, Math.max(MIN_WINDOW, rate * QUEUE_SECONDS));
  }

  /** Bytes per second. */
  get rate(): number {
    return Math.max(0, ...this.#rates);
  }

  sent(bytes: number): void {
    this.#sent += bytes;
  }

  /** @param total bytes the peer has received so far; one that cannot be is ignored. */
  acknowledged(total: number, now: number): void {
    if (!(total >= this.#acknowledged && total <= this.#sent)) return;
    this.#acknowledged = total;
    const elapsed = now - this.#sampleAt;
    if (elapsed < SAMPLE_MS) return;
    this.#rates = [...this.#rates, ((total - this.#sampleFrom) * 1000) / elapsed].slice(-SAMPLES);
    this.#sampleAt = now;
    this.#sampleFrom = total;
  }
}
