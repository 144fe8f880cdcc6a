/**
 * An append-only log of JSON lines. `append` resolves when the record is on the disk (fdatasync), which
 * is what makes it fit to decide who owns a guest. A last line torn by a crash was never acknowledged
 * and is cut off; damage anywhere else is an error, because guessing could run a guest twice.
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
  #tail: Promise<void> = Promise.resolve();
  #broken: SojournError | undefined;

  private constructor(path: string, schema: ZodType<Entry>, handle: FileHandle, entries: Entry[]) {
    this.#path = path;
    this.#schema = schema;
    this.#handle = handle;
    this.#entries = entries;
  }

  /** @throws SojournError `journal-damaged` */
  static async open<Entry>(path: string, schema: ZodType<Entry>): Promise<AppendLog<Entry>> {
    const handle = await open(path, 'a', 0o600);
    try {
      const bytes = await readFile(path);
      const whole = bytes.lastIndexOf(0x0a) + 1;
      const entries = parse(path, schema, bytes.subarray(0, whole).toString('utf8'));
      if (whole < bytes.length) await handle.truncate(whole);
      await handle.sync();
      await syncDirectory(dirname(path));
      return new AppendLog(path, schema, handle, entries);
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
   * Appends one entry durably; entries keep the order of the calls. After a failed write the log
   * takes no more, because what is on the disk is no longer known.
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
      this.#entries.push(entry);
    } catch (error) {
      this.#broken = new SojournError({
        kind: 'requirement',
        code: 'journal-not-writable',
        message: `The ownership journal ${this.#path} cannot be written: ${errorText(error)}`,
        remedy: 'Free some space on its disk, then restart the agent; guests go on where they are',
        cause: error,
      });
      throw this.#broken;
    }
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
