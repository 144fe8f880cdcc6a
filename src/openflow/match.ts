/** A match as data (OpenFlow 1.3.5, 7.2.3). */
import type { FieldName } from './fields.ts';

export interface MaskedValue {
  readonly value: bigint;
  readonly mask: bigint;
}

/** The value exactly, or where the mask has ones. */
export type FieldValue = bigint | MaskedValue;

/** A match field that 1.3 does not define (NXM, class 0 and 1; experimenter; a number not assigned), as it came. */
export interface UnknownField {
  /** `oxm_class`: 0 and 1 are Nicira's, 0x8000 is OpenFlow's, 0xffff an experimenter's. */
  readonly oxmClass: number;
  readonly field: number;
  /** With class 0xffff. */
  readonly experimenter?: number;
  readonly value: Uint8Array;
  /** As long as the value; absent without `oxm_hasmask`. */
  readonly mask?: Uint8Array;
}

/** Every field that is named must match; a field left out matches anything. */
export type Match = { readonly [Name in FieldName]?: FieldValue } & {
  /** In the order they came; a switch that does not know them refuses the match (OFPBMC_BAD_FIELD). */
  readonly unknown?: readonly UnknownField[];
};
