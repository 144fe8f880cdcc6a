/** The command line. Each action imports its module when it runs, so that starting costs little. */
import { Argument, Command, type CommanderError, Option } from 'commander';
import type { AgentFlags } from './commands/agent.ts';
import type { ControllerFlags } from './commands/controller.ts';
import type { DoctorOptions } from './commands/doctor.ts';
import type { GatewayFlags } from './commands/gateway.ts';
import type { CreateOptions } from './commands/guest.ts';
import type { HandoffOptions } from './commands/handoff.ts';
import type { RecordOptions } from './commands/link.ts';
import type { InviteOptions, PairOptions } from './commands/place.ts';
import type { ExplainOptions, PolicyReplayOptions } from './commands/policy.ts';
import type { ReceiveOptions } from './commands/receive.ts';
import type { ArmOptions } from './commands/standby.ts';
import type { SwitchFlags } from './commands/switch.ts';
import type { UiOptions } from './commands/ui.ts';
import { exitCodesHelp } from './exit-codes.ts';
import { type CommonOptions, usageError } from './output.ts';

const accelerators = ['kvm', 'tcg', 'hvf', 'whpx'];
const logLevels = ['trace', 'debug', 'info', 'warn', 'error'];

const stateOption = () =>
  new Option('--state <dir>', 'state directory of the agent (default: $SOJOURN_STATE, else XDG)');

/** The options of every command that talks to the agent. */
function common(command: Command): Command {
  return command
    .addOption(stateOption())
    .option('--json', 'print JSON: one document, or one per line where there are many')
    .option('-q, --quiet', 'print results and errors only');
}

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
  common(program.command('status'))
    .description('show guests, places and warnings')
    .option('-w, --watch', 'go on showing every change, until Ctrl-C')
    .action(async (options: CommonOptions & { watch?: boolean }) => {
      const status = await import('./commands/status.ts');
      await (options.watch ? status.watch(options) : status.show(options));
    });
  common(program.command('ui'))
    .description('open the window in a browser of this host')
    .option('--no-open', 'print the link only; it works once, for two minutes')
    .option('--port <port>', 'serve it on this port (default: any free one)')
    .action(async (options: UiOptions) => (await import('./commands/ui.ts')).ui(options));
  common(program.command('doctor'))
    .description('check what this machine can do and what it lacks; works without an agent')
    .option('--no-kernel', 'do not boot a kernel to prove KVM')
    .option('--again', 'prove KVM again, whatever is remembered')
    .action(async (options: DoctorOptions) =>
      (await import('./commands/doctor.ts')).doctor(options),
    );
  overrideExits(program);
  return program;
}

function addAgent(program: Command): void {
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
    .addOption(new Option('--log-level <level>', 'log level').choices(logLevels).default('info'))
    .action(async (flags: AgentFlags) => (await import('./commands/agent.ts')).agent(flags));
  common(program.command('stop'))
    .description('stop the agent; guests keep running')
    .option('--guests', 'power the guests down first')
    .action(async (options: CommonOptions & { guests?: boolean }) =>
      (await import('./commands/stop.ts')).stopAgent(options),
    );
}

function addGuest(program: Command): void {
  const guest = program.command('guest').description('make, run and inspect guests');
  const load = () => import('./commands/guest.ts');
  common(guest.command('create <name>'))
    .description('make a guest from an image')
    .requiredOption('--image <image>', 'name of an image (see "sojourn image list")')
    .option('--memory <size>', 'memory, in MiB or like 2G')
    .option('--vcpus <count>', 'processors')
    .option('--overlay-limit <size>', 'how much it may write, like 4G')
    .addOption(
      new Option('--overlay <where>', 'where what it writes is kept').choices(['memory', 'disk']),
    )
    .addOption(new Option('--accelerator <name>', 'accelerator').choices(accelerators))
    .addOption(
      new Option('--display <kind>', 'screen and keyboard (default: as its image says)').choices([
        'vga',
        'none',
      ]),
    )
    .action(async (name: string, options: CreateOptions) => (await load()).create(name, options));
  common(guest.command('start <guest>'))
    .description('start a guest')
    .option('--from-copy', 'from its last copy on disk, if what it wrote after that is gone')
    .action(async (name: string, options: CommonOptions & { fromCopy?: boolean }) =>
      (await load()).start(name, options),
    );
  common(guest.command('stop <guest>'))
    .description('power a guest down')
    .option('-f, --force', 'at once, as if its plug were pulled')
    .action(async (name: string, options: CommonOptions & { force?: boolean }) =>
      (await load()).stop(name, options),
    );
  common(guest.command('screen <guest>'))
    .description("open a guest's screen in a browser of this host")
    .option('--no-open', 'print the link only; it works once, for two minutes')
    .option('--port <port>', 'serve it on this port (default: any free one)')
    .action(async (name: string, options: UiOptions) =>
      (await import('./commands/ui.ts')).ui(options, name),
    );
  common(guest.command('clipboard <guest>'))
    .description("print the text that was copied on a guest's screen, wherever it runs")
    .option('--set', 'let it paste the text of standard input, until another is copied there')
    .action(async (name: string, options: CommonOptions & { set?: boolean }) =>
      (await import('./commands/clipboard.ts')).clipboard(name, options),
    );
  common(guest.command('list').alias('ls'))
    .description('list guests')
    .action(async (options: CommonOptions) => (await load()).list(options));
  common(guest.command('show <guest>'))
    .description('show all about a guest')
    .action(async (name: string, options: CommonOptions) => (await load()).show(name, options));
  common(guest.command('console <guest>'))
    .description('connect this terminal to its serial console; with --json print where it is')
    .action(async (name: string, options: CommonOptions) =>
      (await import('./commands/console.ts')).attach(name, options),
    );
  common(guest.command('limit <guest> <size>'))
    .description('change how much it may write')
    .action(async (name: string, size: string, options: CommonOptions) =>
      (await load()).limit(name, size, options),
    );
  common(guest.command('delete <guest>').alias('rm'))
    .description('delete a guest and all that it has written')
    .option('-f, --force', 'also when it runs')
    .option('-y, --yes', 'do not ask')
    .action(async (name: string, options: CommonOptions) => (await load()).remove(name, options));
  common(guest.command('recover <guest>'))
    .description('explain a guest in doubt after a broken handoff, and decide')
    .option('--keep-here', 'run it here; only when it surely does not run at the other place')
    .option('--give-up-here', 'discard the copy here; it goes on at the other place')
    .action(async (name: string, options: CommonOptions) => (await load()).recover(name, options));
}

function addImage(program: Command): void {
  const image = program.command('image').description('base images of guests');
  const load = () => import('./commands/image.ts');
  common(image.command('import <path>'))
    .description('copy an image into the store; PATH is a folder with an image.json, or that file')
    .action(async (path: string, options: CommonOptions) =>
      (await load()).importImage(path, options),
    );
  common(image.command('list').alias('ls'))
    .description('list images')
    .action(async (options: CommonOptions) => (await load()).list(options));
}

function addHandoff(program: Command): void {
  common(program.command('handoff <guest>'))
    .description('move a running guest to another place; Ctrl-C cancels')
    .option('--to <place>', 'where to')
    .option('--urgent', 'switch over at once, however long that pauses the guest')
    .option('--slow-guest', 'slow a guest down that changes more than the network carries')
    .option('--cancel', 'cancel a handoff under way')
    .action(async (guest: string, options: HandoffOptions) =>
      (await import('./commands/handoff.ts')).handoff(guest, options),
    );
}

function addStandby(program: Command): void {
  const load = () => import('./commands/standby.ts');
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
      (await import('./commands/audit.ts')).audit(guest, options),
    );
}

function addPlaces(program: Command): void {
  const load = () => import('./commands/place.ts');
  const places = common(program.command('places'))
    .description('list the places this one is paired with')
    .action(async (options: CommonOptions) => (await load()).list(options));
  common(places.command('forget <place>'))
    .description('end a pairing')
    .action(async (place: string, _options: CommonOptions, command: Command) =>
      (await load()).forget(place, command.optsWithGlobals()),
    );
  common(program.command('invite'))
    .description('print an invite to this site; it works once')
    .option('--host <host...>', 'name or address under which the invited reach this site')
    .option('--ttl <time>', 'how long it is valid, like 15m')
    .action(async (options: InviteOptions) => (await load()).invite(options));
  common(program.command('pair [invite]'))
    .description('pair with the site that made the invite, or with a device nearby')
    .option('--name <name>', 'what to call the site here')
    .option('--nearby', 'find devices in this network that run the same, and compare codes')
    .option('--with <device>', 'nearby: begin with this device when it is there')
    .option(
      '--accept <code>',
      'nearby: the code that the other screen shows, from another terminal',
    )
    .action(async (invite: string | undefined, options: PairOptions) =>
      (await load()).pair(invite, options),
    );
}

/** Guests of other places: whether they may come, and which ask to. */
function addReceiving(program: Command): void {
  const load = () => import('./commands/receive.ts');
  common(program.command('receive'))
    .description('show or set whether guests of other places may come here')
    .addArgument(
      new Argument('[mode]', 'off, ask (a person here), always; default: as all places').choices([
        'off',
        'ask',
        'always',
        'default',
      ]),
    )
    .option('--from <place>', 'of this place alone')
    .option('--guests <count>', 'its guests that may be here, or stand by; "none" for no limit')
    .option('--memory <size>', 'memory that they may have together, in MiB or like 8G')
    .option('--disk <size>', 'what they may write together, like 20G')
    .addOption(
      new Option('--fetch <on|off>', 'it may ask for guests that it has had').choices([
        'on',
        'off',
      ]),
    )
    .action(
      async (mode: 'off' | 'ask' | 'always' | 'default' | undefined, options: ReceiveOptions) =>
        (await load()).receive(mode, options),
    );
  const incoming = common(program.command('incoming'))
    .description('list guests of other places that ask to come in')
    .action(async (options: CommonOptions) => (await load()).list(options));
  common(incoming.command('list').alias('ls'))
    .description('the same')
    .action(async (_options: CommonOptions, command: Command) =>
      (await load()).list(command.optsWithGlobals()),
    );
  common(incoming.command('accept <guest>'))
    .description('let one in, named by its guest or id')
    .option('--always', 'and never ask about guests of that place again')
    .action(async (guest: string, _options: CommonOptions, command: Command) => {
      const { always, ...options } = command.optsWithGlobals<
        CommonOptions & { always?: boolean }
      >();
      await (await load()).answer(guest, always ? 'always' : 'once', options);
    });
  common(incoming.command('refuse <guest>'))
    .description('do not let one in')
    .action(async (guest: string, _options: CommonOptions, command: Command) =>
      (await load()).answer(guest, 'refuse', command.optsWithGlobals()),
    );
}

const each = (value: string, before: readonly string[] = []) => [...before, value];

function addSwitch(program: Command): void {
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
    .addOption(new Option('--log-level <level>', 'log level').choices(logLevels).default('info'))
    .action(async (flags: SwitchFlags) => (await import('./commands/switch.ts')).runSwitch(flags));
}

function addGateway(program: Command): void {
  program
    .command('gateway')
    .description('set up a bridge of Open vSwitch as a gateway and keep it so, in the foreground')
    .requiredOption('--settings <file>', 'name, datapath, controllers and ports, as JSON')
    .option('--database <socket>', 'of Open vSwitch (default: /var/run/openvswitch/db.sock)')
    .option('--remove', 'take the bridge away instead')
    .addOption(new Option('--log-level <level>', 'log level').choices(logLevels).default('info'))
    .action(async (flags: GatewayFlags) =>
      (await import('./commands/gateway.ts')).runGateway(flags),
    );
}

function addController(program: Command): void {
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
    .addOption(new Option('--log-level <level>', 'log level').choices(logLevels).default('info'))
    .action(async (flags: ControllerFlags) =>
      (await import('./commands/controller.ts')).runController(flags),
    );
}

/** What is known of the link, and what is decided from it. */
function addLink(program: Command): void {
  const link = program.command('link').description('the wireless link of this machine');
  common(link.command('record <file>'))
    .description('record the link, to contribute it or to replay it; works without an agent')
    .option('--interface <name>', 'wireless interface (Linux; default: the first)')
    .option('--for <seconds>', 'end after this time (default: at Ctrl-C)')
    .option('--names', 'write true names of networks and addresses of access points')
    .action(async (file: string, options: RecordOptions) =>
      (await import('./commands/link.ts')).record(file, options),
    );
  const policy = program.command('policy').description('when guests leave and come back');
  const load = () => import('./commands/policy.ts');
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
