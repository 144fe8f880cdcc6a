/** A handoff lab whose places are joined by real sessions: TLS over TCP, through a relay that cuts. */
import { PeerDialer, type Session } from '../../src/transport/index.ts';
import { type Cleanup, makePlaces, Relay, startListener } from '../transport/harness.ts';
import { HandoffLab } from './handoff-lab.ts';

export interface TransportLab {
  readonly lab: HandoffLab;
  readonly relay: Relay;
  readonly dialer: PeerDialer;
  /** Of the listener: where another relay may lead. */
  readonly port: number;
  readonly near: Session;
}

export async function openTransportLab(cleanup: Cleanup): Promise<TransportLab> {
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
  return { lab, relay, dialer, port, near };
}
