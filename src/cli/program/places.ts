/** Other places, and guests that come from them. */
import { Argument, type Command, Option } from 'commander';
import type { InviteOptions, PairOptions } from '../commands/place.ts';
import type { ReceiveOptions } from '../commands/receive.ts';
import type { CommonOptions } from '../output.ts';
import { common } from './options.ts';

export function addPlaces(program: Command): void {
  const load = () => import('../commands/place.ts');
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
export function addReceiving(program: Command): void {
  const load = () => import('../commands/receive.ts');
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
