/** The command line. Each action imports its module when it runs, so that starting costs little. */
import { Command, type CommanderError } from 'commander';
import type { DoctorOptions } from '../commands/doctor.ts';
import type { UiOptions } from '../commands/ui.ts';
import { exitCodesHelp } from '../exit-codes.ts';
import { type CommonOptions, usageError } from '../output.ts';
import { addAgent } from './agent.ts';
import { addGuest, addImage } from './guests.ts';
import { addLink } from './link.ts';
import { addHandoff, addStandby } from './moving.ts';
import { addController, addGateway, addSwitch } from './network.ts';
import { common } from './options.ts';
import { addPlaces, addReceiving } from './places.ts';

export function buildProgram(version: string): Command {
  const program = new Command('sojourn')
    .description('Keeps a guest computer running while the network under its host changes.')
    .version(version)
    .configureOutput({ outputError: () => {} })
    .addHelpText('after', `\n${exitCodesHelp()}`);
  addAgent(program);
  addGuest(program);
  addImage(program);
  addHandoff(program);
  addStandby(program);
  addPlaces(program);
  addReceiving(program);
  addLink(program);
  addSwitch(program);
  addController(program);
  addGateway(program);
  addViews(program);
  overrideExits(program);
  return program;
}

/** What is seen of all of it. */
function addViews(program: Command): void {
  common(program.command('status'))
    .description('show guests, places and warnings')
    .option('-w, --watch', 'go on showing every change, until Ctrl-C')
    .action(async (options: CommonOptions & { watch?: boolean }) => {
      const status = await import('../commands/status.ts');
      await (options.watch ? status.watch(options) : status.show(options));
    });
  common(program.command('ui'))
    .description('open the window in a browser of this host')
    .option('--no-open', 'print the link only; it works once, for two minutes')
    .option('--port <port>', 'serve it on this port (default: any free one)')
    .action(async (options: UiOptions) => (await import('../commands/ui.ts')).ui(options));
  common(program.command('doctor'))
    .description('check what this machine can do and what it lacks; works without an agent')
    .option('--no-kernel', 'do not boot a kernel to prove KVM')
    .option('--again', 'prove KVM again, whatever is remembered')
    .action(async (options: DoctorOptions) =>
      (await import('../commands/doctor.ts')).doctor(options),
    );
}

/** Errors of the command line become `SojournError`s that point to the right help. */
function overrideExits(command: Command, path = command.name()): void {
  command.exitOverride((error: CommanderError) => {
    if (error.exitCode === 0 || error.code === 'commander.help') throw error;
    const message = error.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ');
    throw usageError('command-line', sentence(message), `See "${path} --help"`);
  });
  for (const child of command.commands) overrideExits(child, `${path} ${child.name()}`);
}

/** `too many arguments. Expected 1 but got 2.` -> `Too many arguments: expected 1 but got 2` */
function sentence(text: string): string {
  const joined = text.replace(/\.$/, '').replace(/\. E/, ': e');
  return joined.charAt(0).toUpperCase() + joined.slice(1);
}
