import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { processesNaming, runs } from '../lab/fixtures/processes.ts';
import { ADDRESSES, Lab, type Namespace } from '../lab/index.ts';

const fixture = (name: string) =>
  fileURLToPath(new URL(`../lab/fixtures/${name}`, import.meta.url));
const { correspondent4, correspondent6, site4, site6 } = ADDRESSES;

/** Round trip times in ms; [] if nothing came back. */
async function ping(from: Namespace, to: string, count = 5, size = 56): Promise<number[]> {
  const flags = ['-c', `${count}`, '-i', '0.05', '-W', '2', '-s', `${size}`];
  const output = await from.run(['sh', '-c', `ping ${flags.join(' ')} ${to} || true`]);
  return [...output.matchAll(/time=([\d.]+) ms/g)].map(([, time]) => Number(time));
}

describe('the lab', { timeout: 60_000 }, () => {
  const link = { rateBitsPerSecond: 20e6, delayMs: 15 };
  let lab: Lab;

  beforeAll(async () => {
    lab = await Lab.create({ up: link, down: link });
    // The first packets also pay for address resolution.
    await Promise.all([correspondent4, correspondent6].map((to) => ping(lab.device, to, 2)));
  }, 30_000);
  afterAll(() => lab.close());

  it('joins device, site and correspondent, IPv4 and IPv6', async () => {
    for (const to of [correspondent4, correspondent6, site4, site6])
      expect(await ping(lab.device, to, 2)).toHaveLength(2);
    for (const to of [site4, site6]) expect(await ping(lab.correspondent, to, 1)).toHaveLength(1);
  });

  it('lets nothing into the home network that was not asked for', async () => {
    await lab.internet.ip(
      `route add 192.168.50.0/24 via ${ADDRESSES.home4}`,
      `route add fd50:0:0:50::/64 via ${ADDRESSES.home6}`,
    );
    expect(await ping(lab.correspondent, ADDRESSES.device4, 1)).toEqual([]);
    expect(await ping(lab.correspondent, ADDRESSES.device6, 1)).toEqual([]);
  });

  it('brings home addresses to the site', async () => {
    await lab.site.ip(
      'address add 192.0.2.77/32 dev lo',
      'address add 2001:db8:7700:1::2/128 dev lo',
    );
    for (const to of ['192.0.2.77', '2001:db8:7700:1::2']) {
      expect(await ping(lab.correspondent, to, 1)).toHaveLength(1);
      expect(await ping(lab.device, to, 1)).toHaveLength(1);
    }
  });

  /*
   * Tolerance of the two checks below. The lower bound is exact: the emulator is never faster than
   * calculated. The upper one allows for timers of 1 ms at the emulator and for adapter processes, and
   * is wide because other work may keep the processors of the machine busy.
   */
  it('delays by what the parameters calculate to', async () => {
    const size = 1400;
    const frameBits = (14 + 20 + 8 + size) * 8;
    const calculated = 2 * (link.delayMs + (frameBits * 1000) / link.rateBitsPerSecond);
    const times = (await ping(lab.device, correspondent4, 20, size)).sort((a, b) => a - b);
    expect(times).toHaveLength(20);
    // ping prints three significant digits.
    expect(times[0]).toBeGreaterThanOrEqual(calculated - 0.1);
    expect(times[10]).toBeLessThan(calculated + 15);
  });

  it('lets TCP through at the rate that the parameters calculate to', async () => {
    const bytes = 3_000_000;
    const segments = Math.ceil(bytes / 1448);
    // Ethernet, IPv4 and TCP with timestamps: 66 bytes of headers; the first segment starts the clock.
    const bits = (bytes + (segments - 1) * 66 - 1514) * 8;
    const calculated = (bits * 1000) / link.rateBitsPerSecond;
    const node = process.execPath;
    const receiver = await lab.correspondent.spawn([node, fixture('transfer.ts'), 'receive', '9'], {
      stdout: 'pipe',
    });
    if (receiver.stdout === null) throw new Error('no output');
    const lines = createInterface({ input: receiver.stdout })[Symbol.asyncIterator]();
    await lines.next();
    await lab.device.run([node, fixture('transfer.ts'), 'send', correspondent4, '9', `${bytes}`]);
    const measured = Number((await lines.next()).value);
    expect(measured).toBeGreaterThan(calculated * 0.99);
    expect(measured).toBeLessThan(calculated * 1.5 + 10 * 2 * link.delayMs);
  });

  it('keeps packets in a stall, loses them in a cut and counts them', async () => {
    await lab.link.stall();
    const stalled = ping(lab.device, correspondent4, 1);
    await expect.poll(async () => (await lab.link.statistics())['a-to-b'].queuedBytes).not.toBe(0);
    await lab.link.restore();
    expect(await stalled).toHaveLength(1);

    await lab.link.cut();
    expect(await ping(lab.device, correspondent4, 2)).toEqual([]);
    expect((await lab.link.statistics())['a-to-b'].framesDropped.cut).toBeGreaterThanOrEqual(2);
    await lab.link.restore();
    expect(await ping(lab.device, correspondent4, 1)).toHaveLength(1);
  });

  it('refuses parameters that make no sense and stays as it was', async () => {
    await expect(lab.link.set({ loss: 2 })).rejects.toThrow(/refused/);
    expect((await lab.link.statistics())['a-to-b'].parameters.loss).toBe(0);
  });
});

describe('the end of a lab', { timeout: 60_000 }, () => {
  it('leaves nothing behind, however often it is closed', async () => {
    const lab = await Lab.create();
    await lab.device.run(['sh', '-c', 'setsid sleep 600 >/dev/null 2>&1 &']);
    expect(processesNaming(lab.run)).not.toEqual([]);
    await Promise.all([lab.close(), lab.close()]);
    expect(processesNaming(lab.run)).toEqual([]);
    expect(existsSync(lab.directory)).toBe(false);
  });

  it('leaves nothing behind either when the program that made it is killed', async () => {
    const maker = spawn(process.execPath, [fixture('abandoned.ts')], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const [line] = await once(createInterface({ input: maker.stdout }), 'line');
    const { run, directory, unmarked } = JSON.parse(line);
    // Between fork and exec it may have no command line yet.
    await expect.poll(() => runs(unmarked)).toBe(true);
    expect(processesNaming(run)).not.toEqual([]);
    maker.kill('SIGKILL');
    await expect.poll(() => processesNaming(run), { timeout: 10_000 }).toEqual([]);
    await expect.poll(() => existsSync(directory)).toBe(false);
    expect(runs(unmarked)).toBe(false);
  });
});
