/** A handoff over the real sessions: TLS over TCP, through a relay that cuts. */
import { afterEach, expect, test } from 'vitest';
import { Cleanup } from '../transport/harness.ts';
import { openTransportLab } from './transport-lab.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const open = () => openTransportLab(cleanup);

test('device to site', async () => {
  const { lab } = await open();
  await lab.console.run('echo here > /tmp/memory; echo there | dd of=/dev/vda conv=fsync');
  const result = await lab.handOff();
  expect(result.reason).toBeUndefined();
  expect(result.outcome).toBe('handed-over');
  await lab.follow();
  const both = 'cat /tmp/memory; dd if=/dev/vda bs=6 count=1 2>/dev/null';
  expect(await lab.console.run(both)).toBe('here\nthere');
}, 60_000);

test('the connection is cut while the memory moves: it goes on where it was', async () => {
  const { lab, relay } = await open();
  let cuts = 0;
  lab.onPhase = (phase) => {
    if (phase !== 'memory') return;
    const limit = relay.bytes + 4_000_000;
    relay.onBytes = (bytes) => {
      if (bytes < limit) return;
      relay.onBytes = () => undefined;
      relay.cut();
      cuts += 1;
    };
  };
  const result = await lab.handOff();
  expect(cuts).toBe(1);
  expect(result.reason).toBeUndefined();
  expect(result.outcome).toBe('handed-over');
  expect(await lab.incoming?.running()).toBe(true);
}, 60_000);

test('the connection is cut for good while the memory moves: the guest stays', async () => {
  const { lab, relay } = await open();
  const cancel = new AbortController();
  lab.onPhase = (phase) => {
    if (phase !== 'memory') return;
    relay.refuse = true;
    relay.cut();
    setImmediate(() => cancel.abort());
  };
  const result = await lab.handOff({ signal: cancel.signal });
  expect(result).toMatchObject({ outcome: 'stayed', guest: 'running' });
  expect(await lab.source.running()).toBe(true);
}, 60_000);
