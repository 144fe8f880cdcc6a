/** What the controller tells whoever runs it. */
import type { SojournError } from '../../common/index.ts';
import type { Repair } from './connected.ts';

export type ControllerEvent =
  | { readonly type: 'connected'; readonly gateway: string; readonly peer: string }
  | {
      readonly type: 'lost';
      /** Undefined before it has said who it is. */
      readonly gateway: string | undefined;
      readonly peer: string;
      readonly reason: SojournError;
    }
  /** The gateway has the flows that it should have. */
  | ({ readonly type: 'repaired'; readonly gateway: string; readonly bundles: boolean } & Repair)
  /** Something did not work and is tried again; the gateway's other flows work. */
  | { readonly type: 'failed'; readonly gateway: string; readonly reason: SojournError }
  | { readonly type: 'complaint'; readonly gateway: string; readonly text: string }
  | {
      readonly type: 'moved';
      readonly guest: string;
      readonly place: string;
      readonly report: ChangeReport;
    };

/** How a change of one mapping went. */
export interface ChangeReport {
  /** Gateways that have all of it. */
  readonly gateways: readonly string[];
  /** Gateways that will have it when they are back, or when what they refused is repaired. */
  readonly behind: readonly string[];
  /** Flow changes that were sent. */
  readonly changes: number;
  /** From the beginning to the last answer, ms. */
  readonly tookMs: number;
}
