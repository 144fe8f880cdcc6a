import { type FileHandle, open } from 'node:fs/promises';
import { SojournError } from '../../common/index.ts';
import {
  linuxWifiSensor,
  RecordingWriter,
  type SensorReport,
  wifiSensor,
} from '../../link/index.ts';
import { type CommonOptions, Output, usageError } from '../output.ts';
import { formatDuration } from '../units.ts';

export interface RecordOptions extends CommonOptions {
  readonly interface?: string;
  readonly for?: string;
  readonly names?: boolean;
}

/** Until Ctrl-C, or for so many seconds. An existing file is never overwritten. */
export async function record(path: string, options: RecordOptions): Promise<void> {
  const output = new Output(options);
  const limitMs = parseSeconds(options.for);
  const sensor =
    options.interface === undefined
      ? wifiSensor()
      : linuxWifiSensor({ interfaceName: options.interface });
  const file = await open(path, 'wx').catch((cause: NodeJS.ErrnoException) => {
    throw cannotWrite(path, cause);
  });
  const writer = new RecordingWriter({ names: options.names ?? false });
  const end = stopper(limitMs);
  let samples = 0;
  let broken: string | undefined;
  let writing = file.appendFile(writer.header());
  let failed: unknown;
  const write = (report: SensorReport) => {
    if (report.kind === 'state') {
      broken = report.state.kind === 'broken' ? report.state.reason : undefined;
      if (broken !== undefined) output.remark(`${broken}; trying again`);
      return;
    }
    samples++;
    const line = writer.line(report.sample);
    writing = writing
      .then(() => file.appendFile(line))
      .catch((error: unknown) => {
        failed ??= error;
        end.stop();
      });
  };
  try {
    sensor.start(write);
    const written =
      options.names === true
        ? 'with names and addresses of networks'
        : 'without names and addresses';
    output.remark(`Recording to ${path}, ${written}; Ctrl-C ends it`);
    await end.stopped;
  } finally {
    await sensor.close();
    await finish(file, writing);
  }
  if (failed !== undefined) throw cannotWrite(path, failed);
  if (samples === 0 && broken !== undefined)
    throw new SojournError({
      kind: 'requirement',
      code: 'sensor-failed',
      message: `Nothing was recorded: ${broken}`,
      remedy: 'Look whether Wi-Fi is on and "iw dev" lists an interface',
    });
  output.done({ path, samples }, `${samples} samples recorded to ${path}`);
}

async function finish(file: FileHandle, writing: Promise<void>): Promise<void> {
  await writing;
  await file.close();
}

function stopper(limitMs: number | undefined) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = limitMs === undefined ? undefined : setTimeout(resolve, limitMs);
  const stop = () => {
    clearTimeout(timer);
    resolve();
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  return { stop, stopped: promise };
}

function parseSeconds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const seconds = Number(text);
  if (Number.isFinite(seconds) && seconds > 0 && seconds <= 7 * 86_400) return seconds * 1000;
  throw usageError(
    'seconds-malformed',
    `${JSON.stringify(text)} is no number of seconds up to a week`,
    `Write it like 3600, which is ${formatDuration(3_600_000)}`,
  );
}

function cannotWrite(path: string, cause: unknown): SojournError {
  const exists = (cause as NodeJS.ErrnoException).code === 'EEXIST';
  return new SojournError({
    kind: exists ? 'conflict' : 'usage',
    code: exists ? 'recording-exists' : 'recording-unwritable',
    message: exists ? `${path} exists already` : `${path} cannot be written`,
    remedy: 'Give another name',
    cause,
  });
}
