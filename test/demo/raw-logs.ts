/**
 * Reads the raw logs of the probes (formats: test/lab/probes). Every time leaves here as milliseconds of
 * the time of day, by the `clock` lines of the same log, so that it compares with QEMU's own times.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A numbered probe: when it left, and when its first answer came. */
export interface EchoSeries {
  readonly name: string;
  readonly sentAt: ReadonlyMap<number, number>;
  readonly answeredAt: ReadonlyMap<number, number>;
}

/** One ordered run of the guest's numbered datagrams. */
export interface StreamChunk {
  readonly name: string;
  readonly orderedAt: number;
  readonly expected: number;
  /** Numbers that arrived, with their times. */
  readonly arrivedAt: ReadonlyMap<number, number>;
}

export interface Connection {
  readonly name: string;
  readonly openedAt: number | undefined;
  readonly lines: readonly {
    readonly at: number;
    readonly number: number;
    readonly boot: string;
  }[];
  readonly brokenAt: number | undefined;
  /** Text that nobody expects on such a connection. */
  readonly oddAt: readonly number[];
}

export interface Report {
  readonly at: number;
  readonly counter: number;
  readonly boot: string;
  readonly records: number;
}

interface Line {
  readonly word: string;
  readonly at: number;
  readonly fields: readonly string[];
}

function lines(path: string): Line[] {
  const parsed = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(' '));
  const clock = parsed.find(([word]) => word === 'clock');
  if (clock === undefined) throw new Error(`${path} has no clock line`);
  const offset = BigInt(clock[2] ?? 0) - BigInt(clock[1] ?? 0);
  return parsed.map(([word = '', time = '0', ...fields]) => ({
    word,
    at: Number(BigInt(time) + offset) / 1e6,
    fields,
  }));
}

function files(directory: string, prefix: string): { name: string; path: string }[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((file) => file.startsWith(`${prefix}-`) && file.endsWith('.log'))
    .sort()
    .map((file) => ({ name: file.slice(prefix.length + 1, -4), path: join(directory, file) }));
}

/** UDP and ICMP. */
export function readEchoes(directory: string): EchoSeries[] {
  const logs = [...files(directory, 'echo'), ...files(directory, 'icmp')];
  return logs.map(({ name, path }) => {
    const sentAt = new Map<number, number>();
    const answeredAt = new Map<number, number>();
    for (const { word, at, fields } of lines(path)) {
      const number = Number(fields[0]);
      if (word === 'sent') sentAt.set(number, at);
      if (word === 'got' && !answeredAt.has(number)) answeredAt.set(number, at);
    }
    return { name, sentAt, answeredAt };
  });
}

export function readStreams(directory: string): StreamChunk[] {
  return files(directory, 'stream').flatMap(({ name, path }) => {
    const chunks = new Map<string, StreamChunk & { arrivedAt: Map<number, number> }>();
    for (const { word, at, fields } of lines(path)) {
      const [chunk = '', second = ''] = fields;
      if (word === 'order')
        chunks.set(chunk, {
          name: `stream ${name}`,
          orderedAt: at,
          expected: Number(second),
          arrivedAt: new Map(),
        });
      if (word === 'got') {
        const arrived = chunks.get(chunk)?.arrivedAt;
        if (arrived?.has(Number(second)) === false) arrived.set(Number(second), at);
      }
    }
    return [...chunks.values()];
  });
}

export function readConnections(directory: string): Connection[] {
  return files(directory, 'tcp').map(({ name, path }) => {
    const all = lines(path);
    return {
      name: `tcp ${name}`,
      openedAt: all.find(({ word }) => word === 'open')?.at,
      brokenAt: all.find(({ word }) => word === 'broken')?.at,
      oddAt: all.filter(({ word }) => word === 'odd').map(({ at }) => at),
      lines: all
        .filter(({ word }) => word === 'line')
        .map(({ at, fields: [number, boot = ''] }) => ({ at, number: Number(number), boot })),
    };
  });
}

/** Each correspondent address has a stream of reports of its own. */
export function readReports(directory: string): Report[][] {
  return files(directory, 'reports').map(({ path }) =>
    lines(path)
      .filter(({ word }) => word === 'got')
      .map(({ at, fields: [counter, boot = '', records] }) => ({
        at,
        counter: Number(counter),
        boot,
        records: Number(records),
      })),
  );
}
