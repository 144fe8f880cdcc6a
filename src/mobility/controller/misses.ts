/** The lazy way: what a packet without a flow asks for. */
import { ETH_TYPE, NO_BUFFER, type PacketInMessage, PORT } from '../../openflow/index.ts';
import { planChanges, TABLES } from '../flows/index.ts';
import type { Connected } from './connected.ts';
import type { Domain } from './domain.ts';

const ETHERNET_BYTES = 14;
const ADDRESSES = {
  [ETH_TYPE.ipv4]: { source: 12, bytes: 4 },
  [ETH_TYPE.ipv6]: { source: 8, bytes: 16 },
} as const;

/** The address that a gateway does not know: of the sender in its first table, else of the receiver. Undefined for no IP packet. */
function unknownAddress({ data, table }: PacketInMessage): Uint8Array | undefined {
  if (data.length < ETHERNET_BYTES) return undefined;
  const type = ((data[12] as number) << 8) | (data[13] as number);
  if (type !== ETH_TYPE.ipv4 && type !== ETH_TYPE.ipv6) return undefined;
  const { source, bytes } = ADDRESSES[type];
  const at = ETHERNET_BYTES + source + (table === TABLES.ingress ? 0 : bytes);
  return data.length < at + bytes ? undefined : data.subarray(at, at + bytes);
}

/**
 * Sends the flows that a packet asked for, and the packet after them. Rejects with SojournError when that fails. What belongs to nobody
 * is dropped, and what comes while the gateway is being repaired: it gets all its flows then.
 * @param now ms on any steady clock
 */
export async function answerMiss(
  domain: Domain,
  { gateway, link, returns, repairing }: Connected,
  message: PacketInMessage,
  now: number,
): Promise<void> {
  const address = unknownAddress(message);
  const mapping = address === undefined ? undefined : domain.owner(address);
  const inPort = message.match.in_port;
  if (mapping === undefined || typeof inPort !== 'bigint' || repairing !== undefined) return;
  const packet = {
    buffer: NO_BUFFER,
    inPort: Number(inPort),
    actions: [{ type: 'output', port: PORT.table } as const],
    data: message.data,
  };
  const next = domain.ask(mapping, gateway.id) ? 'again' : returns.next(mapping.number, now);
  if (next === 'return') link.packetOut(packet);
  if (next !== 'again') return;
  returns.begin(mapping.number, now);
  const plan = planChanges([], domain.flowsOf(gateway, domain.effective(mapping)));
  await link.apply([...plan.receive, ...plan.steer], packet);
}

/** Packets of one guest that may go back into a gateway's tables after its flows were sent there, and for how long, ms. */
const MAX_RETURNS = 64;
const RETURNS_MS = 1_000;

/** Keeps packets from going round between a controller that sent the flows and a gateway that does not have them. */
export class Returns {
  readonly #byGuest = new Map<number, { since: number; count: number }>();

  /** The flows of a guest are sent. */
  begin(guest: number, now: number): void {
    this.#byGuest.set(guest, { since: now, count: 0 });
  }

  /** @returns whether a packet may go back; or whether the flows must be sent again. */
  next(guest: number, now: number): 'return' | 'drop' | 'again' {
    const entry = this.#byGuest.get(guest);
    if (entry === undefined || now - entry.since > RETURNS_MS) return 'again';
    entry.count += 1;
    return entry.count > MAX_RETURNS ? 'drop' : 'return';
  }
}
