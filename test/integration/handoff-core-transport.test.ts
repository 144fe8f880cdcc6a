/** A handoff over the real sessions: TLS over TCP, through a relay that cuts. */
import { afterEach, expect, test } from 'vitest';
import { PeerDialer, type Session } from '../../src/transport/index.ts';
import { Cleanup, makePlaces, Relay, startListener } from '../transport/harness.ts';
import { HandoffLab } from './handoff-lab.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

async function open(): Promise<{ lab: HandoffLab; relay: Relay }> {
  const places = await makePlaces();
  cleanup.add(() => places.remove());
  const lab = await HandoffLab.open();
  cleanup.add(() => lab.close());
  const { port, sessions } = await startListener(places, cleanup, {
    onSession: (session) => lab.destination.serve(session),
  });
  const relay = await Relay.start(port);
  cleanup.add(() => relay.close());
  const dialed = Promise.withResolvers<Session>();
  const dialer = new PeerDialer({
    identity: places.device,
    place: { name: 'laptop', profile: 'device' },
    peer: places.site.id,
    hosts: ['127.0.0.1'],
    port: relay.port,
    onSession: dialed.resolve,
  });
  dialer.start();
  cleanup.add(() => dialer.close());
  const near = await dialed.promise;
  const far = sessions[0];
  if (far === undefined) throw new Error('no session arrived');
  lab.markServed(far);
  lab.sessions = { near, far };
  return { lab, relay };
}

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
