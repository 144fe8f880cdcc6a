/** What a gateway's bridge shall be. It crosses a process boundary (configuration files), so it is validated. */
import { z } from 'zod';

/** Linux's IFNAMSIZ, with the NUL. */
export const interfaceName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/, 'letters, digits, dots and dashes, 15 at most');

export const bridgePort = z.strictObject({
  /** Of OpenFlow; Open vSwitch takes no higher ones. */
  number: z.int().min(1).max(0xfeff),
  /** An interface that is there already, such as a guest's TAP or a network card. */
  name: interfaceName,
});

export const bridgeSettings = z.strictObject({
  name: interfaceName,
  /** Sixteen hexadecimal digits. */
  datapathId: z.string().regex(/^[0-9a-f]{16}$/),
  /** `netdev`: in userspace, for kernels without the module; `system`: the kernel's. */
  datapathType: z.enum(['netdev', 'system']),
  /** Without a controller: nothing but the flows that are there, or as a learning bridge. */
  failMode: z.enum(['secure', 'standalone']).default('secure'),
  /** `tcp:HOST:PORT`, `ssl:HOST:PORT`; of sockets Open vSwitch takes `unix:RUNDIR/BRIDGE.controller` alone. */
  controllers: z
    .array(z.string().regex(/^(tcp|ssl|unix):\S+$/, 'tcp:HOST:PORT, ssl:HOST:PORT or unix:PATH'))
    .max(8),
  ports: z.array(bridgePort).max(4096),
});

export type BridgePort = z.infer<typeof bridgePort>;
export type BridgeSettings = z.infer<typeof bridgeSettings>;
