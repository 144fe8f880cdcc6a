/**
 * One browser's WebSocket, joined to a connection of its own to the agent's socket: a message here is a line there
 * (`src/api/protocol.ts`). What is not a call of the contract is refused by the agent's own server, as for every client.
 */
import { connect } from 'node:net';
import type { WebSocket } from 'ws';
import { LineSplitter, MAX_LINE_BYTES } from '../../api/index.ts';
import { errorText } from '../../common/index.ts';

/** Not yet taken by the browser; nothing more is read from the agent above it. */
const MAX_UNSENT_BYTES = 1 << 20;
/** RFC 6455, 7.4.1. */
const CLOSE_UNSUPPORTED = 1003;
const CLOSE_AGENT_GONE = 1011;
const LINE_END = /[\r\n]/;

export function bridge(web: WebSocket, socketPath: string, log: (problem: string) => void): void {
  const agent = connect(socketPath);
  const splitter = new LineSplitter(MAX_LINE_BYTES);
  const end = (code: number, problem?: string) => {
    if (problem !== undefined) log(problem);
    agent.destroy();
    web.close(code);
  };

  web.on('message', (data, isBinary) => {
    const text = isBinary ? '' : data.toString();
    // A line end would smuggle a second message past the one that was framed here.
    if (isBinary || LINE_END.test(text))
      return end(CLOSE_UNSUPPORTED, 'a message is not one line of text');
    if (!agent.write(`${text}\n`)) web.pause();
  });
  agent.on('drain', () => web.resume());
  agent.on('data', (chunk) => {
    try {
      for (const line of splitter.push(chunk as Buffer)) {
        web.send(line, { binary: false }, (error) => {
          if (error === undefined || error === null) resumeIfTaken();
        });
      }
    } catch (error) {
      return end(CLOSE_AGENT_GONE, errorText(error));
    }
    if (web.bufferedAmount > MAX_UNSENT_BYTES) agent.pause();
  });
  const resumeIfTaken = () => {
    if (agent.isPaused() && web.bufferedAmount <= MAX_UNSENT_BYTES) agent.resume();
  };
  web.on('error', (error) => log(errorText(error)));
  web.on('close', () => agent.destroy());
  agent.on('error', (error) => log(errorText(error)));
  agent.on('close', () => end(CLOSE_AGENT_GONE));
}
