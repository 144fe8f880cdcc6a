/** The dialing side of HELLO, on a connection whose peer has been verified. */

import type { TLSSocket } from 'node:tls';
import { fromWireError, SojournError, wireError } from '../common/index.ts';
import { Connection } from './connection.ts';
import { FrameError, FrameType, wholePayload } from './frame.ts';
import { type DialerHello, type ListenerHello, listenerHello, SPOKEN } from './hello.ts';
import { parsePeerJson, protocolViolation } from './violation.ts';

/** For the answer to HELLO, ms. */
const HELLO_TIMEOUT_MS = 5_000;

/**
 * Says HELLO and waits for the answer. `accept` is called in the very moment it arrives, before frames that
 * came with it are looked at. Errors: the reason of a GOODBYE; `peer-silent`; `peer-unreachable`;
 * `protocol-violation`; what `accept` throws.
 */
export async function greet(
  socket: TLSSocket,
  hello: DialerHello,
  accept: (connection: Connection, answer: ListenerHello) => void,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const fail = (error: unknown) => {
      clearTimeout(timer);
      connection.destroy();
      reject(error instanceof FrameError ? protocolViolation(error.message, error) : error);
    };
    const timer = setTimeout(() => fail(silent()), HELLO_TIMEOUT_MS);
    const connection: Connection = new Connection(socket, {
      frame: (frame) => {
        if (frame.type === FrameType.goodbye) {
          fail(fromWireError(parsePeerJson(wireError, wholePayload(frame))));
          return;
        }
        if (frame.type !== FrameType.hello) throw new FrameError('no HELLO');
        const answer = parsePeerJson(listenerHello, wholePayload(frame));
        if (answer.version < SPOKEN.oldest || answer.version > SPOKEN.newest) {
          throw new FrameError(`version ${answer.version} was not offered`);
        }
        clearTimeout(timer);
        connection.version = answer.version;
        accept(connection, answer);
        resolve();
      },
      drain: () => undefined,
      fault: fail,
      closed: (error) => fail(hungUp(error)),
    });
    connection.sendJson(FrameType.hello, hello);
  });
}

function silent(): SojournError {
  return new SojournError({
    kind: 'unreachable',
    code: 'peer-silent',
    message: 'The other place accepts connections but does not answer',
    remedy: 'Check that the agent there is not stopped or overloaded',
  });
}

function hungUp(cause: Error | undefined): SojournError {
  return new SojournError({
    kind: 'unreachable',
    code: 'peer-unreachable',
    message: 'The other place closed the connection without an answer',
    remedy: 'Check the network here and the agent log there',
    cause,
  });
}
