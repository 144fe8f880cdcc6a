/** `npm start`: builds the app where its sources have changed, and opens it. Arguments go to the app. */
import { execa } from 'execa';
import { runtimeOfClone } from '../resources/electron/index.ts';
import { errorText } from '../src/common/index.ts';
import { buildApp } from './build.ts';

const say = (text: string) => console.error(`start: ${text}`);

async function start(): Promise<number> {
  const { platform, env } = process;
  if (platform === 'linux' && !env.DISPLAY && !env.WAYLAND_DISPLAY) {
    say('no display was found (DISPLAY and WAYLAND_DISPLAY are empty)');
    say('start it in a desktop session, or use "npm run sojourn" and the browser ("sojourn ui")');
    return 1;
  }
  await buildApp();
  const { executable, appArguments } = await runtimeOfClone(say);
  const args = [...appArguments, ...process.argv.slice(2)];
  // Chromium's sandbox cannot be made by root; the page is held to less than root's rights all the same.
  if (process.getuid?.() === 0) {
    say('started by root: without the sandbox around the page');
    args.unshift('--no-sandbox');
  }
  const { exitCode } = await execa(executable, args, { stdio: 'inherit', reject: false });
  return exitCode ?? 1;
}

try {
  process.exitCode = await start();
} catch (error) {
  say(errorText(error));
  process.exitCode = 1;
}
