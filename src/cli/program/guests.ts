/** Guests, and what they are made from. */
import { type Command, Option } from 'commander';
import type { CreateOptions } from '../commands/guest.ts';
import type { UiOptions } from '../commands/ui.ts';
import type { CommonOptions } from '../output.ts';
import { accelerators, common } from './options.ts';

export function addGuest(program: Command): void {
  const guest = program.command('guest').description('make, run and inspect guests');
  const load = () => import('../commands/guest.ts');
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
      (await import('../commands/ui.ts')).ui(options, name),
    );
  common(guest.command('clipboard <guest>'))
    .description("print the text that was copied on a guest's screen, wherever it runs")
    .option('--set', 'let it paste the text of standard input, until another is copied there')
    .action(async (name: string, options: CommonOptions & { set?: boolean }) =>
      (await import('../commands/clipboard.ts')).clipboard(name, options),
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
      (await import('../commands/console.ts')).attach(name, options),
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

export function addImage(program: Command): void {
  const image = program.command('image').description('base images of guests');
  const load = () => import('../commands/image.ts');
  common(image.command('import <path>'))
    .description('copy an image into the store; PATH is a folder with an image.json, or that file')
    .action(async (path: string, options: CommonOptions) =>
      (await load()).importImage(path, options),
    );
  common(image.command('list').alias('ls'))
    .description('list images')
    .action(async (options: CommonOptions) => (await load()).list(options));
}
