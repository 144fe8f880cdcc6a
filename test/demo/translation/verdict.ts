/** Whether a run of the translation was as it must be. */
import type { Figures } from '../figures.ts';
import type { WireFigures } from './wire.ts';

/** "Equal to ordinary live migration": so much of the blackout inside one subnet, and so much more, ms. */
export const BLACKOUT_FACTOR = 1.5;
export const BLACKOUT_MARGIN_MS = 50;

/** What is wrong, one line each. Packets that were under way when the guest stopped are lost, as with every live migration. */
export function translationComplaints(figures: Figures, wire: WireFigures): string[] {
  const { baseline, handoffs, reports } = figures;
  const found: string[] = [];
  if (handoffs.length !== 2) found.push(`${handoffs.length} moves took place instead of 2`);
  if (baseline === undefined) found.push('there is no plain migration to compare with');
  const limit = BLACKOUT_FACTOR * (baseline?.plainQemuBlackoutMs ?? 0) + BLACKOUT_MARGIN_MS;
  for (const each of handoffs) {
    const way = `${each.from} to ${each.to}`;
    if (each.packetsSent === 0) found.push(`${way}: no probe was sent`);
    if (each.packetsLost === each.packetsSent) found.push(`${way}: no probe was answered`);
    if (each.tcpBroken > 0) found.push(`${way}: ${each.tcpBroken} TCP connections broke`);
    if (!each.diskRecordsOk) found.push(`${way}: the records on the disk are not in order`);
    if (!(each.blackoutMs <= limit))
      found.push(
        `${way}: a blackout of ${Math.round(each.blackoutMs)} ms, the limit is ${Math.round(limit)} ms`,
      );
  }
  if (reports.received === 0) found.push('the guest did not report');
  if (reports.stepsBack > 0) found.push(`the guest's counter went back ${reports.stepsBack} times`);
  if (reports.boots > 1) found.push('the guest booted again');
  if (wire.homePackets > 0)
    found.push(`${wire.homePackets} packets between the sites had the home address`);
  for (const [site, packets] of Object.entries(wire.mobilePacketsOf))
    if (packets === 0) found.push(`no packet between the sites had the mobile address of ${site}`);
  return found;
}
