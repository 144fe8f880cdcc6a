/** What the datapath of this place is to be: from the agent's options and the places that it is paired with. */
import type { Configuration } from '../../datapath/index.ts';
import type { AgentOptions } from '../options.ts';
import type { PeerStore } from '../state/peer-store.ts';

export function datapathConfiguration(
  options: AgentOptions,
  identityDir: string,
  peers: PeerStore,
): Configuration {
  const { listen, tunnelPort, tap, tapToward: toward, hoa4, hoa6 } = options;
  const known = peers.list();
  const home = known.find(({ profile }) => profile === 'site');
  return {
    identityDir,
    ...(listen === undefined || tunnelPort === undefined
      ? {}
      : { listen: { host: listen.host, port: tunnelPort } }),
    ...(tap !== undefined && {
      tap: { name: tap, toward, prefixes4: defined(hoa4), prefixes6: defined(hoa6) },
    }),
    peers: known.map(({ id, endpoints, tunnelPort: port }) => ({
      id,
      ...(port === null || endpoints.length === 0
        ? {}
        : { dial: { hosts: endpoints.map(({ host }) => host).slice(0, 8), port } }),
    })),
    ...(hoa4 !== undefined || home === undefined ? {} : { defaultPeer: home.id }),
  };
}

const defined = <T>(value: T | undefined): T[] => (value === undefined ? [] : [value]);
