import type { GuestState, GuestView, HandoffProgress, StandbyView } from '../api/index.ts';
import { formatBytes, formatDuration, formatRate } from './units.ts';

/** A guest's state in a few words. */
export function describeState(state: GuestState): string {
  switch (state.kind) {
    case 'starting':
      return 'starting';
    case 'running':
      return 'running here';
    case 'paused':
      return `paused (${pauseReasons[state.reason]})`;
    case 'stopping':
      return 'stopping';
    case 'stopped':
      return 'stopped';
    case 'crashed':
      return `crashed (${state.reason})`;
    case 'elsewhere':
      return state.there === 'running' || state.there === 'unknown'
        ? `on ${state.place.name}${state.there === 'unknown' ? ', not heard of since' : ''}`
        : `${state.there} on ${state.place.name}`;
    case 'moving-out':
      return `moving to ${state.to.name} (${state.progress.phase})`;
    case 'moving-in':
      return `arriving from ${state.from.name} (${state.progress.phase})`;
    case 'in-doubt':
      return `in doubt with ${state.with.name}`;
  }
}

const pauseReasons: Readonly<Record<Extract<GuestState, { kind: 'paused' }>['reason'], string>> = {
  'overlay-limit': 'its overlay is full',
  user: 'on request',
  'disk-error': 'disk error',
  incoming: 'arriving',
  unresponsive: 'its QEMU does not answer',
};

export function describeOverlay(overlay: GuestView['overlay']): string {
  if (overlay === null) return '-';
  const { storage, usedBytes, limitBytes } = overlay;
  return `${formatBytes(usedBytes)} of ${formatBytes(limitBytes)} (${storage})`;
}

/** Everything about one guest, a line each. */
export function describeGuest(guest: GuestView): string {
  const { state } = guest;
  const lines: [string, string][] = [
    ['name', guest.name],
    ['id', guest.id],
    ['state', describeState(state)],
    ['since', state.since],
  ];
  if ('pid' in state) lines.push(['pid', String(state.pid)]);
  if (state.kind === 'in-doubt') lines.push(['in doubt', state.explanation]);
  if (state.kind === 'moving-out' || state.kind === 'moving-in') {
    lines.push(['progress', describeProgress(state.progress)]);
  }
  lines.push(
    ['home address', `${guest.network.hoa4}, ${guest.network.hoa6Prefix}`],
    ['home', guest.home.name],
    ['memory', `${guest.memoryMiB} MiB`],
    ['processors', String(guest.vcpus)],
    ['accelerator', `${guest.accelerator} (${guest.machine})`],
    ['screen', guest.display],
    ['overlay', describeOverlay(guest.overlay)],
    ...(guest.standby === null
      ? []
      : [['standby', describeStandby(guest.standby)] satisfies [string, string]]),
    ['owner epoch', String(guest.epoch)],
    ['created', guest.createdAt],
  );
  const width = Math.max(...lines.map(([label]) => label.length));
  return lines.map(([label, value]) => `${label.padEnd(width)}  ${value}`).join('\n');
}

/** `armed at cloud: about 240 ms to go on there, 14.0 kB still to cross (152 kB), 0.8 s old, upkeep 3.0 kB/s`. */
export function describeStandby(standby: StandbyView | null): string {
  if (standby === null) return '-';
  const { place, state, reason, progress, residueBytes, residueBytesOnLink } = standby;
  const { freshMs, upkeepBytesPerSecond, dirtyBytesPerSecond, estimateMs } = standby;
  const parts: string[] = [];
  if (reason !== undefined) parts.push(reason);
  if (state === 'filling' && progress !== undefined) parts.push(describeProgress(progress));
  if (state === 'armed') {
    if (estimateMs !== null) parts.push(`about ${formatDuration(estimateMs)} to go on there`);
    if (residueBytes !== null && residueBytesOnLink !== null)
      parts.push(
        `${formatBytes(residueBytesOnLink)} still to cross (${formatBytes(residueBytes)} before compression)`,
      );
    if (freshMs !== null) parts.push(`${formatDuration(freshMs)} old`);
    if (dirtyBytesPerSecond !== null) parts.push(`changes ${formatRate(dirtyBytesPerSecond)}`);
    if (upkeepBytesPerSecond !== null) parts.push(`upkeep ${formatRate(upkeepBytesPerSecond)}`);
  }
  const head = `${state} at ${place.name}`;
  return parts.length === 0 ? head : `${head}: ${parts.join(', ')}`;
}

/** A standby in a table's cell. */
export function summarizeStandby(standby: StandbyView | null): string {
  if (standby === null) return '-';
  const { place, state, estimateMs, progress } = standby;
  const head = `${state} at ${place.name}`;
  if (state === 'armed' && estimateMs !== null) return `${head}, ${formatDuration(estimateMs)}`;
  if (state !== 'filling' || progress?.bytesTotal == null || progress.bytesTotal === 0) return head;
  return `${head}, ${Math.floor((100 * progress.bytesDone) / progress.bytesTotal)} %`;
}

/** `memory: 50.0 MB of 200 MB, 12.5 MB/s, about 12.0 s left`. */
export function describeProgress(progress: HandoffProgress): string {
  const { phase, bytesDone, bytesTotal, bytesPerSecond, etaMs, residueBytes, note } = progress;
  const parts: string[] = [];
  if (bytesTotal !== null) parts.push(`${formatBytes(bytesDone)} of ${formatBytes(bytesTotal)}`);
  else if (bytesDone > 0) parts.push(formatBytes(bytesDone));
  if (bytesPerSecond !== null) parts.push(formatRate(bytesPerSecond));
  if (etaMs !== null) parts.push(`about ${formatDuration(etaMs)} left`);
  if (residueBytes !== null) parts.push(`${formatBytes(residueBytes)} still to cross`);
  if (note !== undefined) parts.push(note);
  return parts.length === 0 ? phase : `${phase}: ${parts.join(', ')}`;
}
