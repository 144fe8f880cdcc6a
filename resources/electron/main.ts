/** Sees to it that the pinned Electron is there; silent when it is. Used by the set-up script. */
import { errorText } from '../../src/common/index.ts';
import { pinnedRuntime } from './runtime.ts';

const say = (text: string) => console.error(`setup: ${text}`);

try {
  await pinnedRuntime(say);
} catch (error) {
  say(errorText(error));
  process.exitCode = 1;
}
