/** What is known of the link, and what is decided from it. */
import { Argument, type Command, Option } from 'commander';
import type { RecordOptions } from '../commands/link.ts';
import type { ExplainOptions, PolicyReplayOptions } from '../commands/policy.ts';
import type { CommonOptions } from '../output.ts';
import { common } from './options.ts';

/** What is known of the link, and what is decided from it. */
export function addLink(program: Command): void {
  const link = program.command('link').description('the wireless link of this machine');
  common(link.command('record <file>'))
    .description('record the link, to contribute it or to replay it; works without an agent')
    .option('--interface <name>', 'wireless interface (Linux; default: the first)')
    .option('--for <seconds>', 'end after this time (default: at Ctrl-C)')
    .option('--names', 'write true names of networks and addresses of access points')
    .action(async (file: string, options: RecordOptions) =>
      (await import('../commands/link.ts')).record(file, options),
    );
  const policy = program.command('policy').description('when guests leave and come back');
  const load = () => import('../commands/policy.ts');
  const rules = () => new Option('--rules <file>', 'rules as JSON (default: those for everybody)');
  const residue = () =>
    new Option('--residue <size>', 'what a standby would still have to send').default('1M');
  common(policy.command('explain'))
    .description('say what would be done now, and why; works without an agent')
    .addOption(rules())
    .addOption(residue())
    .option('--for <seconds>', 'watch the link for this time first', '3')
    .action(async (options: ExplainOptions) => (await load()).explain(options));
  common(policy.command('show'))
    .description('show the rules that the agent follows; with --json as a file for "policy set"')
    .action(async (options: CommonOptions) => (await load()).show(options));
  common(policy.command('set <file>'))
    .description('let the agent follow the rules of a file; "policy auto" switches them on and off')
    .action(async (file: string, options: CommonOptions) => (await load()).set(file, options));
  common(policy.command('auto'))
    .description('let guests leave and come back by themselves, or not (default: off)')
    .addArgument(new Argument('<on|off>').choices(['on', 'off']))
    .action(async (onOrOff: string, options: CommonOptions) =>
      (await load()).auto(onOrOff, options),
    );
  common(policy.command('replay <trace>'))
    .description('say what would have been done on a recording, and why')
    .addOption(rules())
    .addOption(residue())
    .option('--all', 'every step, not changes only')
    .action(async (trace: string, options: PolicyReplayOptions) =>
      (await load()).replay(trace, options),
    );
}
