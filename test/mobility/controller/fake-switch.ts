/** A switch that does what a test wants, at the other end of a connection to a controller. */
import { type Duplex, duplexPair } from 'node:stream';
import { keyOf } from '../../../src/mobility/flows/index.ts';
import {
  type Clock,
  type FlowMod,
  type FlowStats,
  OpenFlowConnection,
  openFlowError,
} from '../../../src/openflow/index.ts';

export class FakeSwitch {
  readonly stream: Duplex;
  readonly flows = new Map<string, FlowMod>();
  readonly mods: FlowMod[] = [];
  /** Flows that it refuses. */
  refuses: (mod: FlowMod) => boolean = () => false;
  answersBarriers = true;
  staleRole = false;
  /** In the place of its flows. */
  flowStats: (() => FlowStats[]) | undefined;
  closed = false;
  readonly #connection: OpenFlowConnection;

  constructor(datapathId: bigint, clock: Clock) {
    const [mine, theirs] = duplexPair();
    this.stream = theirs;
    this.#connection = new OpenFlowConnection({
      stream: mine,
      clock,
      handler: {
        closed: () => {
          this.closed = true;
        },
        message: ({ xid, message }) => {
          const answer = this.#connection;
          switch (message.type) {
            case 'features-request':
              answer.send(
                {
                  ...{ type: 'features-reply', datapathId, buffers: 0, tables: 8 },
                  ...{ auxiliary: 0, capabilities: 0 },
                },
                xid,
              );
              break;
            case 'role-request':
              if (this.staleRole) throw openFlowError('role-request-failed', 'stale', 'test');
              answer.send({ ...message, type: 'role-reply' }, xid);
              break;
            case 'experimenter':
              throw openFlowError('bad-request', 'bad-experimenter', 'test');
            case 'multipart-request': {
              const flows = this.flowStats?.() ?? [...this.flows.values()].map(statsOf);
              answer.reply(xid, { kind: 'flow', flows });
              break;
            }
            case 'flow-mod':
              this.mods.push(message);
              if (this.refuses(message))
                throw openFlowError('flow-mod-failed', 'table-full', 'test');
              if (message.command === 'add') this.flows.set(keyOf(message), message);
              else this.flows.delete(keyOf(message));
              break;
            case 'barrier-request':
              if (this.answersBarriers) answer.send({ type: 'barrier-reply' }, xid);
              break;
            default:
          }
        },
      },
    });
  }

  /** An error that answers nothing. */
  complain(): void {
    const data = new Uint8Array(64);
    this.#connection.send({ type: 'error', errorType: 1, code: 1, data }, 0x7fff_ffff);
  }

  close(): void {
    this.#connection.close();
  }
}

function statsOf(mod: FlowMod): FlowStats {
  const { table, priority, match, instructions, cookie, idleTimeout, hardTimeout, flags } = mod;
  return {
    ...{ table, priority, match, instructions, cookie, idleTimeout, hardTimeout, flags },
    ...{ durationSeconds: 0, durationNanoseconds: 0, packets: 0n, bytes: 0n },
  };
}
