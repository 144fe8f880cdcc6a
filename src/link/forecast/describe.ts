/** A forecast in one line: `-76 dBm, falling 0.8 dB/s: about 11 s and 3.0 MB left`. */
import type { Outlook } from './forecast.ts';

const STEADY_DB_PER_S = 0.2;

export function describeOutlook(outlook: Outlook): string {
  const { evidence, levelDbm, slope } = outlook;
  if (evidence === 'silent') return 'No frames';
  const course =
    Math.abs(slope) < STEADY_DB_PER_S
      ? 'steady'
      : `${slope < 0 ? 'falling' : 'rising'} ${Math.abs(slope).toFixed(1)} dB/s`;
  return `${Math.round(levelDbm)} dBm, ${course}: ${left(outlook)}`;
}

export function describeNeed(residueBytes: number): string {
  return `standby needs ${megabytes(residueBytes)}`;
}

function left({ evidence, secondsLeft, bytesLeft }: Outlook): string {
  switch (evidence) {
    case 'fade':
      return 'so low that it may be lost at any moment';
    case 'failing':
      return 'frames and beacons get lost';
    case 'stalled':
      return 'nothing comes in any more';
    case 'steady':
      return 'no loss in sight';
    case 'learned':
      return `here it was lost within about ${seconds(secondsLeft)} before, ${megabytes(bytesLeft)} left`;
    default:
      return `about ${seconds(secondsLeft)} and ${megabytes(bytesLeft)} left`;
  }
}

function seconds(value: number): string {
  return `${value < 10 ? Math.round(value * 10) / 10 : Math.round(value)} s`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
