/** Switches and their controller, which run without an agent. */
import { type Command, Option } from 'commander';
import type { ControllerFlags } from '../commands/controller.ts';
import type { GatewayFlags } from '../commands/gateway.ts';
import type { SwitchFlags } from '../commands/switch.ts';
import { each, logLevel } from './options.ts';

export function addSwitch(program: Command): void {
  program
    .command('switch')
    .description('run the embedded OpenFlow 1.3 switch alone, in the foreground')
    .requiredOption('--datapath-id <id>', 'its number, like 1 or 0xabc')
    .option('--controller <target>', 'tcp:HOST:PORT, ssl:HOST:PORT or unix:PATH; many', each)
    .option('--listen <target>', 'ptcp:PORT:ADDRESS, pssl:PORT:ADDRESS or unix:PATH; many', each)
    .option('--port <port>', 'NUMBER=stream:PATH, NUMBER=tap:NAME or NUMBER=natpt:FILE; many', each)
    .addOption(
      new Option('--fail-mode <mode>', 'without a controller: keep the flows, or learn addresses')
        .choices(['secure', 'standalone'])
        .default('secure'),
    )
    .option('--private-key <file>', 'of this switch, for TLS (PEM)')
    .option('--certificate <file>', 'of this switch, for TLS (PEM)')
    .option('--ca-cert <file>', 'of the authority of controllers (PEM)')
    .addOption(logLevel())
    .action(async (flags: SwitchFlags) => (await import('../commands/switch.ts')).runSwitch(flags));
}

export function addGateway(program: Command): void {
  program
    .command('gateway')
    .description('set up a bridge of Open vSwitch as a gateway and keep it so, in the foreground')
    .requiredOption('--settings <file>', 'name, datapath, controllers and ports, as JSON')
    .option('--database <socket>', 'of Open vSwitch (default: /var/run/openvswitch/db.sock)')
    .option('--remove', 'take the bridge away instead')
    .addOption(logLevel())
    .action(async (flags: GatewayFlags) =>
      (await import('../commands/gateway.ts')).runGateway(flags),
    );
}

export function addController(program: Command): void {
  program
    .command('controller')
    .description('lead packets to guests through OpenFlow 1.3 switches, in the foreground')
    .requiredOption(
      '--listen <target>',
      'ptcp:PORT:ADDRESS, pssl:PORT:ADDRESS or unix:PATH; many',
      each,
    )
    .requiredOption('--gateways <file>', 'the switches, as JSON; read again at SIGHUP')
    .option('--mappings <file>', 'where each guest is, as JSON; read again at SIGHUP')
    .option('--agent <socket>', 'of the site that knows where its guests are, instead of a file')
    .option('--lazy', 'tell a switch of a guest when it asks, not when the guest moves')
    .option('--private-key <file>', 'of this controller, for TLS (PEM)')
    .option('--certificate <file>', 'of this controller, for TLS (PEM)')
    .option('--ca-cert <file>', 'of the authority of switches (PEM)')
    .addOption(logLevel())
    .action(async (flags: ControllerFlags) =>
      (await import('../commands/controller.ts')).runController(flags),
    );
}
