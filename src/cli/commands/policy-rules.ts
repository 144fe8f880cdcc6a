/** Rules in words. */
import type { PolicyView } from '../../api/index.ts';
import { joined } from '../text.ts';

export function describeRules({
  automatic,
  arm,
  leave,
  return: back,
  places,
  schedule,
}: PolicyView['rules']): string[] {
  if (!automatic) return ['nothing happens by itself'];
  const causes = [
    leave.onLoss && 'before the link is lost',
    leave.onSuspend && 'before sleep',
    leave.onShutdown && 'before shutdown',
    leave.onLidClosed && 'when the lid is closed',
    leave.onUndock && 'when the cable is unplugged',
    leave.batteryBelow > 0 && `at ${Math.round(leave.batteryBelow * 100)} % of battery`,
    leave.followPerson && 'when you are at another device',
  ].filter((cause) => cause !== false);
  return [
    arm.enabled ? `a standby is made at ${arm.signalDbm} dBm or better` : 'no standby is kept',
    causes.length === 0 ? 'the guest never leaves by itself' : `the guest leaves ${joined(causes)}`,
    back.automatic
      ? `it comes back after ${back.afterSeconds} s at ${back.signalDbm} dBm or better`
      : 'it comes back when you ask',
    ...places.map(
      ({ name, rule }) => `${rule === 'stay' ? 'never leave from' : 'always leave from'} ${name}`,
    ),
    ...schedule.map(({ from, to, rule }) => `${rule} between ${from} and ${to}`),
  ];
}
