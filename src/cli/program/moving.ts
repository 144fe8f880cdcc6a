/** Guests that move, and that stand by to. */
import type { Command } from 'commander';
import type { HandoffOptions } from '../commands/handoff.ts';
import type { ArmOptions } from '../commands/standby.ts';
import type { CommonOptions } from '../output.ts';
import { common } from './options.ts';

export function addHandoff(program: Command): void {
  common(program.command('handoff <guest>'))
    .description('move a running guest to another place; Ctrl-C cancels')
    .option('--to <place>', 'where to')
    .option('--urgent', 'switch over at once, however long that pauses the guest')
    .option('--slow-guest', 'slow a guest down that changes more than the network carries')
    .option('--cancel', 'cancel a handoff under way')
    .action(async (guest: string, options: HandoffOptions) =>
      (await import('../commands/handoff.ts')).handoff(guest, options),
    );
}

export function addStandby(program: Command): void {
  const load = () => import('../commands/standby.ts');
  common(program.command('arm <guest>'))
    .description('keep a guest ready to go on at another place within a second, until disarmed')
    .requiredOption('--at <place>', 'where it stands by')
    .option('--wait', 'until it is armed; Ctrl-C leaves it to go on by itself')
    .option('--when-unmetered', 'copy it only over a network that is not metered')
    .option('--no-both-ways', 'do not arm the way back when it has moved')
    .action(async (guest: string, options: ArmOptions) => (await load()).arm(guest, options));
  common(program.command('disarm <guest>'))
    .description('end what "sojourn arm" began')
    .action(async (guest: string, options: CommonOptions) => (await load()).disarm(guest, options));
  common(program.command('audit [guest]'))
    .description('prove from the journal of this place who owned guests, and when')
    .action(async (guest: string | undefined, options: CommonOptions) =>
      (await import('../commands/audit.ts')).audit(guest, options),
    );
}
