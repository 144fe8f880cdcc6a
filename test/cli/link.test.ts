import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadTraces } from '../../src/link/index.ts';
import { FakeIw } from '../link/fake-iw.ts';
import { CliProcess, jsonLines, runCli } from './run-cli.ts';

const recording = join(
  import.meta.dirname,
  '../../resources/traces/perama/log_perama_site_ac_20mhz_5ghz_tcp_single_UL_run1_loc3_phy.json.gz',
);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sojourn-link-cli-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('policy replay', () => {
  test('says what would have been done, as JSON lines', async () => {
    const { code, stdout } = await runCli([
      'policy',
      'replay',
      recording,
      '--residue',
      '500K',
      '--json',
    ]);
    expect(code).toBe(0);
    const steps = jsonLines(stdout) as { action: string; guest: string; why: string }[];
    expect(steps.map(({ action }) => action)).toContain('fire');
    expect(steps.at(-1)?.guest).toBe('away');
  });

  test('with rules that say stay', async () => {
    const rules = join(folder, 'rules.json');
    await writeFile(
      rules,
      JSON.stringify({ places: [{ name: 'lab', medium: 'wifi', rule: 'stay' }] }),
    );
    const { code, stdout } = await runCli(['policy', 'replay', recording, '--rules', rules]);
    expect(code).toBe(0);
    expect(stdout).toContain('You said never to leave from lab');
    expect(stdout).not.toContain('fire');
  });

  test('refuses rules and recordings that cannot be read, by name', async () => {
    const rules = join(folder, 'rules.json');
    await writeFile(rules, '{"leave":{"onLoss":"sometimes"}}');
    const bad = await runCli(['policy', 'replay', recording, '--rules', rules]);
    expect(bad.code).toBe(2);
    expect(bad.stderr).toMatch(/onLoss/);
    const missing = await runCli(['policy', 'replay', join(folder, 'nothing')]);
    expect(missing.code).toBe(3);
  });
});

describe.runIf(process.platform === 'linux')('with a sensor', () => {
  let iw: FakeIw;
  beforeEach(async () => {
    iw = await FakeIw.make();
    await chmod(iw.path, 0o755);
  });
  afterEach(() => iw.remove());
  const env = () => ({ PATH: `${iw.folder}:${process.env.PATH}` });

  test('link record writes what can be replayed, without names, and overwrites nothing', async () => {
    const path = join(folder, 'walk.jsonl');
    const args = ['link', 'record', path, '--for', '2', '--json'];
    const { code, stdout } = await new CliProcess(args, env()).finished;
    expect(code).toBe(0);
    expect(jsonLines(stdout)).toEqual([{ path, samples: expect.any(Number) }]);
    expect(await readFile(path, 'utf8')).not.toMatch(/home|58:11/);
    const [trace] = await loadTraces(path);
    expect(trace?.rows[0]?.sample).toMatchObject({ signalDbm: -60, bssid: 'ap1', network: 'net1' });
    const again = await new CliProcess(args, env()).finished;
    expect(again.code).toBe(4);
  });

  test('policy explain says what would be done here and now', async () => {
    const { code, stdout } = await new CliProcess(
      ['policy', 'explain', '--for', '1', '--json'],
      env(),
    ).finished;
    expect(code).toBe(0);
    expect(jsonLines(stdout)).toEqual([
      expect.objectContaining({
        decision: expect.objectContaining({ action: 'none', code: 'ready' }),
        sensor: { kind: 'working' },
      }),
    ]);
  });

  test('a recording without a sensor fails with what to do', async () => {
    await iw.behave('fail');
    const path = join(folder, 'x.jsonl');
    const { code, stderr } = await new CliProcess(['link', 'record', path, '--for', '1'], env())
      .finished;
    expect(code).toBe(5);
    expect(stderr).toMatch(/No such device/);
  });
});
