/** Actions and instructions as data (OpenFlow 1.3.5, 7.2.4 and 7.2.5). */
import type { FieldName } from './fields.ts';
import type { UnknownField } from './match.ts';

export type Action =
  | {
      readonly type: 'output';
      readonly port: number;
      /** With port CONTROLLER: bytes of the packet that are sent; `CONTROLLER_LENGTH.noBuffer` when left out. */
      readonly maxLength?: number;
    }
  | { readonly type: 'copy-ttl-out' }
  | { readonly type: 'copy-ttl-in' }
  | { readonly type: 'set-mpls-ttl'; readonly ttl: number }
  | { readonly type: 'dec-mpls-ttl' }
  | { readonly type: 'push-vlan'; readonly ethType: number }
  | { readonly type: 'pop-vlan' }
  | { readonly type: 'push-mpls'; readonly ethType: number }
  | { readonly type: 'pop-mpls'; readonly ethType: number }
  | { readonly type: 'set-queue'; readonly queue: number }
  | { readonly type: 'group'; readonly group: number }
  | { readonly type: 'set-nw-ttl'; readonly ttl: number }
  | { readonly type: 'dec-nw-ttl' }
  | { readonly type: 'set-field'; readonly field: FieldName; readonly value: bigint }
  /** Set-field of a field that 1.3 does not define; a switch refuses it (OFPBAC_BAD_SET_TYPE). */
  | { readonly type: 'set-unknown-field'; readonly field: UnknownField }
  | { readonly type: 'push-pbb'; readonly ethType: number }
  | { readonly type: 'pop-pbb' }
  | {
      readonly type: 'experimenter';
      readonly experimenter: number;
      /** What follows the experimenter's number; its length plus 8 is a multiple of 8. */
      readonly data: Uint8Array;
    };

export type ActionType = Action['type'];

export type Instruction =
  | { readonly type: 'goto-table'; readonly table: number }
  | { readonly type: 'write-metadata'; readonly value: bigint; readonly mask: bigint }
  | { readonly type: 'write-actions'; readonly actions: readonly Action[] }
  | { readonly type: 'apply-actions'; readonly actions: readonly Action[] }
  | { readonly type: 'clear-actions' }
  | { readonly type: 'meter'; readonly meter: number }
  | {
      readonly type: 'experimenter';
      readonly experimenter: number;
      /** What follows the experimenter's number. */
      readonly data: Uint8Array;
    };

export type InstructionType = Instruction['type'];
