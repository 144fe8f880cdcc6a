/** The guests of a datapath, by their id, their port here and their home addresses. */
import { SojournError } from '../common/index.ts';
import type { GuestNetwork } from '../guest/spec.ts';
import { guestGateway } from '../switch/services/index.ts';
import type { GuestSettings } from './control.ts';
import type { GuestAttachment } from './guest-attachment.ts';

export class GuestTable {
  readonly #byId = new Map<string, GuestAttachment>();
  readonly #byPort = new Map<number, GuestAttachment>();
  readonly #byAddress = new Map<string, GuestAttachment>();

  get all(): GuestAttachment[] {
    return [...this.#byId.values()];
  }

  /** Every gateway address of every guest, as numbers. */
  get gateways(): bigint[] {
    const addresses = this.all.flatMap(({ gateway }) => [gateway.gateway4, gateway.gateway6]);
    return [...new Set(addresses.map((address) => BigInt(`0x${address.toString('hex')}`)))];
  }

  find(guestId: string): GuestAttachment | undefined {
    return this.#byId.get(guestId);
  }

  /** @throws SojournError `datapath-guest-unknown` */
  get(guestId: string): GuestAttachment {
    const guest = this.#byId.get(guestId);
    if (guest !== undefined) return guest;
    throw new SojournError({
      kind: 'not-found',
      code: 'datapath-guest-unknown',
      message: `The datapath does not know the guest ${guestId}`,
    });
  }

  ofPort(port: number): GuestAttachment | undefined {
    return this.#byPort.get(port);
  }

  /** By IPv4 address, or any IPv6 address of the guest's /64. */
  ofAddress(address: Buffer): GuestAttachment | undefined {
    const key = address.length === 16 ? address.subarray(0, 8) : address;
    return this.#byAddress.get(key.toString('hex'));
  }

  /**
   * Whoever has a guest's address gets its packets, so no other guest may take it, nor the socket of its port.
   * @throws SojournError `address-in-use`
   */
  requireFree({ guestId, network, mac, port }: GuestSettings): void {
    const { hoa4, prefix6 } = guestGateway(network, mac);
    for (const other of this.all) {
      if (other.guestId === guestId) continue;
      const { gateway } = other;
      const taken =
        (gateway.hoa4.equals(hoa4) && network.hoa4) ||
        (gateway.prefix6.equals(prefix6) && network.hoa6Prefix) ||
        (port !== undefined && other.socket === port.socket && port.socket);
      if (taken)
        throw new SojournError({
          kind: 'conflict',
          code: 'address-in-use',
          message: `The datapath refuses guest ${guestId}: guest ${other.guestId} has ${taken} already`,
          remedy: 'See "sojourn guest list" and delete the guest that should not have that address',
        });
    }
  }

  add(guest: GuestAttachment): void {
    this.#byId.set(guest.guestId, guest);
    this.#remember(guest);
  }

  remove(guest: GuestAttachment): void {
    this.#byId.delete(guest.guestId);
    this.#forget(guest);
  }

  identify(guest: GuestAttachment, network: GuestNetwork, mac: string): void {
    this.#forget(guest);
    guest.identify(network, mac);
    this.#remember(guest);
  }

  connectPort(port: number, guest: GuestAttachment): void {
    this.#byPort.set(port, guest);
  }

  disconnectPort(port: number): void {
    this.#byPort.delete(port);
  }

  #remember(guest: GuestAttachment): void {
    this.#byAddress.set(guest.gateway.hoa4.toString('hex'), guest);
    this.#byAddress.set(guest.gateway.prefix6.toString('hex'), guest);
  }

  #forget(guest: GuestAttachment): void {
    this.#byAddress.delete(guest.gateway.hoa4.toString('hex'));
    this.#byAddress.delete(guest.gateway.prefix6.toString('hex'));
  }
}
