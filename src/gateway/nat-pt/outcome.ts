/** What becomes of a packet at the translator. */
export type DropReason =
  | 'malformed'
  | 'no-address' // neither a pair nor a prefix has it
  | 'not-unicast'
  | 'untranslatable-icmp'
  | 'fragmented-icmp'
  | 'fragment-without-checksum'
  | 'no-reply-address';

export type Outcome =
  | { readonly kind: 'translated'; readonly packets: readonly Buffer[] }
  /** An ICMP error for the sender, of the family it came in. */
  | { readonly kind: 'reply'; readonly packet: Buffer }
  | { readonly kind: 'dropped'; readonly reason: DropReason };

export function dropped(reason: DropReason): Outcome {
  return { kind: 'dropped', reason };
}
