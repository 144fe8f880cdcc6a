export {
  type AddressMapper,
  type AddressPair,
  AddressTable,
  embed,
  extract,
  parseEmbeddingPrefix,
} from './addresses.ts';
export type { DropReason, Outcome } from './outcome.ts';
export { NatPtPort, type NatPtPortOptions } from './port.ts';
export { readNatPtPort } from './settings.ts';
export { type TranslatorOptions, translatePacket } from './translator.ts';
