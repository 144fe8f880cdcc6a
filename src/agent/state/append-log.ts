/**
 * An append-only log of JSON lines. `append` resolves when the record is on the disk (fdatasync), which
 * is what makes it fit to decide who owns a guest. What was not acknowledged must not come back after a restart: a
 * record whose write failed is cut off again before its failure is told, and a last line torn by a crash when the log is
 * opened. Damage anywhere else is an error, because guessing could run a guest twice.
 */
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ZodType } from 'zod';
import { errorText, SojournError, syncDirectory } from '../../common/index.ts';

export class AppendLog<Entry> {
  readonly #path: string;
  readonly #schema: ZodType<Entry>;
  readonly #handle: FileHandle;
  readonly #entries: Entry[];
  /** Of all that was acknowledged, bytes. */
  #length: number;
  #tail: Promise<void> = Promise.resolve();
  #broken: SojournError | undefined;

  private constructor(path: string, schema: ZodType<Entry>, handle: FileHandle, bytes: Buffer) {
    this.#path = path;
    this.#schema = schema;
    this.#handle = handle;
    this.#entries = parse(path, schema, bytes.toString('utf8'));
    this.#length = bytes.length;
  }

  /** @throws SojournError `journal-damaged` */
  static async open<Entry>(path: string, schema: ZodType<Entry>): Promise<AppendLog<Entry>> {
    const handle = await open(path, 'a', 0o600);
    try {
      const bytes = await readFile(path);
      const whole = bytes.lastIndexOf(0x0a) + 1;
      const log = new AppendLog(path, schema, handle, bytes.subarray(0, whole));
      if (whole < bytes.length) await handle.truncate(whole);
      await handle.sync();
      await syncDirectory(dirname(path));
      return log;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** All acknowledged entries, oldest first. */
  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /**
   * Appends one entry durably; entries keep the order of the calls. An entry that is rejected is not in the log; the next
   * one may well be accepted. Only where the rejected one cannot be cut off again, either, the log takes no more, because
   * what is on the disk is not known then.
   *
   * @throws SojournError `journal-not-writable`
   */
  append(entry: Entry): Promise<void> {
    const line = `${JSON.stringify(this.#schema.parse(entry))}\n`;
    const written = this.#tail.then(() => this.#write(line, entry));
    this.#tail = written.catch(() => {});
    return written;
  }

  async close(): Promise<void> {
    await this.#tail;
    await this.#handle.close();
  }

  async #write(line: string, entry: Entry): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken;
    try {
      await this.#handle.appendFile(line);
      await this.#handle.datasync();
    } catch (error) {
      throw await this.#cutOff(error);
    }
    this.#length += Buffer.byteLength(line);
    this.#entries.push(entry);
  }

  async #cutOff(cause: unknown): Promise<SojournError> {
    try {
      await this.#handle.truncate(this.#length);
      await this.#handle.sync();
      return this.#notWritable(cause, 'Free some space on its disk');
    } catch {
      // The first failure is the one that says why.
      const remedy = 'Free some space on its disk, then restart the agent';
      this.#broken = this.#notWritable(cause, remedy);
      return this.#broken;
    }
  }

  #notWritable(cause: unknown, remedy: string): SojournError {
    return new SojournError({
      kind: 'requirement',
      code: 'journal-not-writable',
      message: `The ownership journal ${this.#path} cannot be written: ${errorText(cause)}`,
      remedy: `${remedy}; guests go on where they are`,
      cause,
    });
  }
}

function parse<Entry>(path: string, schema: ZodType<Entry>, text: string): Entry[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line, index) => {
      try {
        return schema.parse(JSON.parse(line));
      } catch (error) {
        throw new SojournError({
          kind: 'requirement',
          code: 'journal-damaged',
          message: `Line ${index + 1} of the ownership journal ${path} cannot be read`,
          remedy: 'Restore the file from a backup; Sojourn does not guess who owns a guest',
          cause: error,
        });
      }
    });
}
