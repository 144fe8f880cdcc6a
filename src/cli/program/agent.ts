/** The agent itself. */
import { type Command, Option } from 'commander';
import type { AgentFlags } from '../commands/agent.ts';
import type { CommonOptions } from '../output.ts';
import { accelerators, common, logLevel, stateOption } from './options.ts';

export function addAgent(program: Command): void {
  program
    .command('agent')
    .description('run the agent in the foreground')
    .addOption(
      new Option('--profile <profile>', 'device: a laptop that dials out; site: receives guests')
        .choices(['device', 'site'])
        .makeOptionMandatory(),
    )
    .addOption(stateOption())
    .option('--name <name>', 'name of this place (default: the host name)')
    .option('--listen <host:port>', 'where peers dial (site; default: 0.0.0.0:7420)')
    .option('--tunnel-port <port>', 'port of the guest network tunnel (site; default: one higher)')
    .option('--hoa4 <prefix>', 'IPv4 prefix of home addresses (site), e.g. 192.0.2.0/24')
    .option('--hoa6 <prefix>', 'IPv6 prefix of home addresses (site), /48 to /56')
    .option('--tap <name>', 'TAP interface through which guests are reached (site)')
    .addOption(
      new Option(
        '--tap-toward <what>',
        'host: its routes lead there; gateway: a port of a switch that "sojourn controller" drives (site; default: host)',
      ).choices(['host', 'gateway']),
    )
    .option(
      '--advertise <hosts>',
      'names or addresses put into invites, separated by commas (site)',
    )
    .option('--dns <addresses>', 'name servers told to guests, separated by commas')
    .option('--peer-guests <count>', 'guests of one peer that may be here, or stand by')
    .option('--peer-memory <size>', 'memory that they may have together, in MiB or like 8G')
    .option('--peer-disk <size>', 'what they may write together, like 20G')
    .option('--answer-within <seconds>', 'how long a person is asked whether a guest may come')
    .addOption(new Option('--accelerator <name>', 'instead of a proven one').choices(accelerators))
    .option('--link-trace <file>', 'a recording in place of the wireless sensor, for trials')
    .option('--link-trace-speed <factor>', 'how fast it is played (default: 1)')
    .option('--link-trace-held', 'do not play it until "link.play" is called (API)')
    .addOption(logLevel())
    .action(async (flags: AgentFlags) => (await import('../commands/agent.ts')).agent(flags));
  common(program.command('stop'))
    .description('stop the agent; guests keep running')
    .option('--guests', 'power the guests down first')
    .action(async (options: CommonOptions & { guests?: boolean }) =>
      (await import('../commands/stop.ts')).stopAgent(options),
    );
}
