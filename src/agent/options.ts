import type { Accelerator } from '../guest/spec.ts';

/** What the agent is started with. The command has checked the form of everything in it. */
export interface AgentOptions {
  readonly profile: 'device' | 'site';
  /** Absolute path. */
  readonly stateDirectory: string;
  /** Name of this place, told to its peers. */
  readonly name: string;
  /** Where peers dial. Undefined on a device. */
  readonly listen: { readonly host: string; readonly port: number } | undefined;
  /** Where the guest network's tunnels are dialled, at the same host. Undefined on a device. */
  readonly tunnelPort: number | undefined;
  /** Prefix of home addresses that this site anchors, `192.0.2.0/24`. */
  readonly hoa4: string | undefined;
  /** Prefix of home addresses that this site anchors, /48 to /56; each guest gets a /64 of it. */
  readonly hoa6: string | undefined;
  /** TAP interface through which the rest of the network reaches guests. */
  readonly tap: string | undefined;
  /** `host`: its routes lead home addresses there; `gateway`: it is a port of a switch under a controller. */
  readonly tapToward: 'host' | 'gateway';
  /** Names or addresses put into invites; empty: found out. */
  readonly advertise: readonly string[];
  /** Name servers told to guests. */
  readonly dns: readonly string[];
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error';
  /** What the guests of one peer may take here, those that stand by included; undefined: no limit of its own. */
  readonly perPeer: {
    readonly guests: number | undefined;
    readonly memoryMiB: number | undefined;
    readonly diskBytes: number | undefined;
  };
  /** How long a person is asked about a guest that wants to come, ms; no answer is a no. */
  readonly answerMs: number;
  /** A recording in place of the wireless sensor; with `held` it stands still at its beginning until `link.play`. */
  readonly linkTrace:
    | { readonly path: string; readonly speed: number; readonly held: boolean }
    | undefined;
  /** Undefined: proved. */
  readonly accelerator: Accelerator | undefined;
}
