/** An agent that is started is a process of its own, to the last descriptor. */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { launchAgent } from '../../electron/agent/launch.ts';

const ALONE = join(import.meta.dirname, '../../src/cli/alone.ts');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'launch-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

test.runIf(process.platform === 'linux')('inherits nothing but standard streams', () => {
  const script = join(folder, 'list.mjs');
  writeFileSync(
    script,
    `import { readdirSync, readlinkSync } from 'node:fs';
     const open = readdirSync('/proc/self/fd').flatMap((fd) => {
       try { return [readlinkSync('/proc/self/fd/' + fd)]; } catch { return []; }
     });
     console.log(JSON.stringify({ open, arguments: process.argv.slice(2) }));`,
  );
  const mine = openSync(script, 'r');
  // Node's `spawn` gives these numbers to the child; a gap in between is what Node itself does not see.
  const stdio = ['ignore', 'pipe', 'pipe', ...Array(30).fill('ignore'), mine] as const;
  const run = (args: string[]) => {
    const { stdout } = spawnSync(process.execPath, args, { stdio: [...stdio], encoding: 'utf8' });
    return JSON.parse(stdout) as { open: string[]; arguments: string[] };
  };
  expect(run([script]).open).toContain(script);
  const alone = run([ALONE, script, 'a b', '--flag']);
  closeSync(mine);
  expect(alone.open).not.toContain(script);
  expect(alone.arguments).toEqual(['a b', '--flag']);
});

/** Stands in the place of `src/cli`, with the real `alone.ts` beside it. */
function fakeAgent(body: string): string {
  writeFileSync(join(folder, 'alone.ts'), readFileSync(ALONE));
  const script = join(folder, 'main.ts');
  writeFileSync(script, body);
  return script;
}

test('tells why it ended, in its own words, and sees nothing of Electron', async () => {
  vi.stubEnv('ELECTRON_RUN_AS_NODE', '1');
  vi.stubEnv('NODE_OPTIONS', '--throw-deprecation');
  const script = fakeAgent(`
    console.log('{"level":30,"msg":"starting"}');
    const leaked = Object.keys(process.env).filter((name) => /^(ELECTRON|NODE)_/.test(name));
    console.error('sojourn: No QEMU was found' + leaked.join() + process.argv.slice(2).join(' '));
    process.exit(5);`);
  const { ended } = await launchAgent({
    node: process.execPath,
    script,
    stateDirectory: folder,
    log: join(folder, 'logs', 'agent.log'),
    arguments: ['--profile', 'device'],
  });
  const error = await ended;
  expect(error.message).toBe(
    `The agent ended: No QEMU was foundagent --state ${folder} --profile device`,
  );
  expect(error.remedy).toContain('agent.log');
});

test('tells that it could not be started at all', async () => {
  const launch = launchAgent({
    node: join(folder, 'no-node'),
    script: fakeAgent(''),
    stateDirectory: folder,
    log: join(folder, 'agent.log'),
    arguments: [],
  });
  await expect(launch).rejects.toThrow('ENOENT');
});
