/** Counters of everything on the packets' way, so that evidence tells where a lost packet was lost. */
import { join } from 'node:path';
import { controlSocketPath, DatapathClient } from '../../src/datapath/index.ts';
import type { Lab, Namespace } from '../lab/index.ts';

const READ =
  'ip -s -j link; echo; cat /proc/net/snmp /proc/net/snmp6 | grep -E "^(Udp:|Icmp:|Udp6.*(Errors|Datagrams))"';

/** `states`: state directories of the agents. What cannot be read is told in its place. */
export async function readCounters(
  lab: Lab,
  states: Readonly<Record<string, string>>,
): Promise<Record<string, unknown>> {
  const hosts: [string, Namespace][] = [
    ['device', lab.device],
    ['home', lab.home],
    ['internet', lab.internet],
    ['site', lab.site],
    ['correspondent', lab.correspondent],
  ];
  const all = [
    ...hosts.map(async ([name, namespace]) => {
      const [links = '[]', ...protocols] = (await namespace.run(['sh', '-c', READ])).split('\n');
      return [name, { links: JSON.parse(links), protocols: protocols.filter(Boolean) }];
    }),
    ...Object.entries(states).map(async ([name, state]) => [
      `${name} datapath`,
      await datapathStatus(state),
    ]),
  ];
  return Object.fromEntries(await Promise.all(all));
}

async function datapathStatus(state: string): Promise<unknown> {
  try {
    const client = await DatapathClient.connect(controlSocketPath(join(state, 'datapath')));
    try {
      return await client.call('status', {});
    } finally {
      client.close();
    }
  } catch (error) {
    return { error: (error as Error).message };
  }
}
