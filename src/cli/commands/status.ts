import type { IncomingView, Status } from '../../api/index.ts';
import { type CommonOptions, noticeLine } from '../output.ts';
import { printable, shortId, table } from '../text.ts';
import { formatBytes, formatDuration } from '../units.ts';
import { withAgent } from '../with-agent.ts';
import { guestTable } from './guest.ts';
import { placeTable } from './place.ts';
import { describeRules } from './policy-rules.ts';

const HOME_AND_CLEAR = '\u001b[H\u001b[J';

export async function show(options: CommonOptions): Promise<void> {
  await withAgent(options, async (client, output) => {
    const status = await client.call('status', {});
    output.result(status, describeStatus(status, Date.now()));
  });
}

/** Until Ctrl-C. On a terminal the picture is redrawn in place. */
export async function watch(options: CommonOptions): Promise<void> {
  await withAgent(options, async (client, output) => {
    const abort = new AbortController();
    process.once('SIGINT', () => abort.abort());
    const redraw = process.stdout.isTTY && !output.json;
    await client
      .call(
        'status.watch',
        {},
        {
          signal: abort.signal,
          onItem: (status) => {
            if (redraw) process.stdout.write(HOME_AND_CLEAR);
            output.result(status, `${describeStatus(status, Date.now())}${redraw ? '' : '\n'}`);
          },
        },
      )
      .catch((error) => {
        if (!abort.signal.aborted) throw error;
      });
  });
}

export function describeStatus(status: Status, nowMs: number): string {
  const notices = [...status.warnings, ...status.guests.flatMap(({ notices }) => notices)];
  const shown = notices.filter((notice) => Date.parse(notice.since) + notice.showAfterMs <= nowMs);
  return [
    describeAgent(status.agent),
    describeIncoming(status.incoming ?? []),
    guestTable(status.guests) || 'no guests',
    placeTable(status.places),
    describeLink(status.link),
    describeDatapath(status.datapath),
    shown.map(noticeLine).join('\n'),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function describeAgent(agent: Status['agent']): string {
  const { place, profile, version, pid, accelerator, qemu, listen } = agent;
  const parts = [
    `${place.name} (${profile}, ${shortId(place.id)})`,
    `agent ${version}, pid ${pid}`,
    qemu === null ? 'no QEMU' : `QEMU ${qemu.version}`,
  ];
  if (accelerator !== null) parts.push(accelerator.accelerator);
  if (listen !== null)
    parts.push(`listens on ${listen.host} ports ${listen.port}, ${listen.tunnelPort}`);
  return printable(parts.join(' · '));
}

function describeIncoming(incoming: readonly IncomingView[]): string {
  return incoming
    .map(({ guest, from, memoryMiB }) =>
      printable(
        `${guest.name} from ${from.name} asks to come in (${memoryMiB} MiB): "sojourn incoming accept ${guest.name}", or refuse`,
      ),
    )
    .join('\n');
}

function describeLink(link: Status['link']): string {
  if (link === undefined) return '';
  const { sensor, signalDbm, band, rateBitsPerSecond, rttMs, forecast, policy } = link;
  const head = [
    sensor.state === 'missing' ? 'link: no sensor' : `link: ${sensor.name} ${sensor.state}`,
    ...(sensor.reason === undefined ? [] : [sensor.reason]),
    ...(signalDbm === null ? [] : [`${Math.round(signalDbm)} dBm`]),
    ...(band === null ? [] : [`${band} GHz`]),
    ...(rateBitsPerSecond === null ? [] : [`${Math.round(rateBitsPerSecond / 1e6)} Mbit/s`]),
    ...(rttMs === null ? [] : [`round trip ${formatDuration(rttMs)}`]),
  ];
  return [
    head.join(' · '),
    ...(forecast === null ? [] : [`forecast: ${forecast.text}`]),
    `policy: automatic handoff is ${policy.automatic ? 'on' : 'off'}`,
    ...(policy.automatic ? describeRules(policy.rules).map((rule) => `  ${rule}`) : []),
    ...policy.now.map(({ guest, action, why }) => `  ${guest.name}: ${action}: ${why}`),
  ]
    .map(printable)
    .join('\n');
}

function describeDatapath(datapath: Status['datapath']): string {
  if (!datapath.running) return printable(`datapath: not running (${datapath.reason})`);
  const drops = Object.entries(datapath.drops)
    .filter(([, count]) => count > 0)
    .map(([reason, count]) => `${reason} ${count}`);
  const head = [`datapath: pid ${datapath.pid}`];
  if (datapath.tap !== null) head.push(`tap ${datapath.tap}`);
  if (drops.length > 0) head.push(`dropped packets: ${drops.join(', ')}`);
  const tunnels = table(
    ['TUNNEL', 'STATE', 'ROUND TRIP', 'IN', 'OUT'],
    datapath.tunnels.map(({ peer, connected, rttMs, bytesIn, bytesOut }) => [
      peer.name,
      connected ? 'up' : 'down',
      rttMs === null ? '-' : formatDuration(rttMs),
      formatBytes(bytesIn),
      formatBytes(bytesOut),
    ]),
  );
  return [printable(head.join(' · ')), tunnels].filter((part) => part !== '').join('\n');
}
