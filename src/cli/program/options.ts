/** Options that many commands have. */
import { type Command, Option } from 'commander';

export const accelerators = ['kvm', 'tcg', 'hvf', 'whpx'];

export const stateOption = () =>
  new Option('--state <dir>', 'state directory of the agent (default: $SOJOURN_STATE, else XDG)');

export const logLevel = () =>
  new Option('--log-level <level>', 'log level')
    .choices(['trace', 'debug', 'info', 'warn', 'error'])
    .default('info');

/** Collects an option that may be given many times. */
export const each = (value: string, before: readonly string[] = []) => [...before, value];

/** The options of every command that talks to the agent. */
export function common(command: Command): Command {
  return command
    .addOption(stateOption())
    .option('--json', 'print JSON: one document, or one per line where there are many')
    .option('-q, --quiet', 'print results and errors only');
}
