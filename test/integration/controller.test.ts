/** The controller with a real Open vSwitch, and its connections over TLS. */
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { Controller, type ControllerEvent } from '../../src/mobility/controller/index.ts';
import { OpenFlowEndpoint, type TlsFiles } from '../../src/switch/agent/index.ts';
import { OpenFlowSwitch } from '../../src/switch/index.ts';
import { complies } from '../mobility/controller/compliance.ts';
import { openVSwitch } from '../mobility/controller/fleet.ts';
import { guestAt, network, specs } from '../mobility/controller/sites.ts';

describe('a controller of Open vSwitch', () => complies(openVSwitch));

/** A key and a certificate each, of an authority of its own for the stranger. */
async function certificates(directory: string): Promise<Record<'ours' | 'stranger', TlsFiles>> {
  const make = async (name: string): Promise<TlsFiles> => {
    const [key, cert] = [join(directory, `${name}.key`), join(directory, `${name}.pem`)] as const;
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    const files = ['-keyout', key, '-out', cert, '-subj', `/CN=${name}`];
    await execa('openssl', ['req', '-x509', ...curve, ...files]);
    const pem = await readFile(cert, 'utf8');
    return { key: await readFile(key, 'utf8'), cert: pem, ca: pem };
  };
  return { ours: await make('ours'), stranger: await make('stranger') };
}

test('gateways with a certificate of the authority connect over TLS, others do not', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sojourn-tls-'));
  const { ours, stranger } = await certificates(directory);
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, 'close');
  const events: ControllerEvent[] = [];
  const repaired = Promise.withResolvers<void>();
  const controller = new Controller({
    network,
    mappings: [guestAt('site-a')],
    tls: ours,
    onEvent: (event) => {
      events.push(event);
      if (event.type === 'repaired') repaired.resolve();
    },
  });
  await controller.listen({ type: 'pssl', host: '127.0.0.1', port });
  const refused = Promise.withResolvers<void>();
  const dial = (index: number, tls: TlsFiles, failed = () => {}) =>
    new OpenFlowEndpoint({
      datapath: new OpenFlowSwitch({ datapathId: BigInt(`0x${specs[index]?.datapathId}`) }),
      controllers: [{ type: 'ssl', host: '127.0.0.1', port }],
      tls,
      onEvent: ({ type }) => {
        if (type === 'unreachable' || type === 'lost') failed();
      },
    });
  const endpoints = [dial(0, ours), dial(1, stranger, refused.resolve)];
  await Promise.all([repaired.promise, refused.promise]);
  expect(controller.ready()).toEqual(['site-a']);
  await Promise.all(endpoints.map((endpoint) => endpoint.close()));
  await controller.close();
  await rm(directory, { recursive: true, force: true });
});
