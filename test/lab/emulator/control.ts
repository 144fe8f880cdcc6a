/**
 * Control of a running emulator: one JSON object a line over a unix socket, one answer a line, in order.
 * The schema below is the whole protocol.
 */
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import type { Link, WayStatistics } from './link.ts';
import { directionPatch, linkTrace } from './parameters.ts';

const direction = z.enum(['both', 'a-to-b', 'b-to-a']).default('both');

export const controlRequest = z.discriminatedUnion('command', [
  z.object({ command: z.literal('set'), direction, parameters: directionPatch }),
  z.object({ command: z.literal('play'), trace: linkTrace }),
  z.object({ command: z.literal('statistics') }),
]);
export type ControlRequest = z.input<typeof controlRequest>;

const wayStatistics = z.custom<WayStatistics>((value) => typeof value === 'object');
export const controlAnswer = z.discriminatedUnion('ok', [
  z.object({
    ok: z.literal(true),
    /** In answers to `statistics`. */
    statistics: z.object({ 'a-to-b': wayStatistics, 'b-to-a': wayStatistics }).optional(),
  }),
  z.object({ ok: z.literal(false), error: z.string() }),
]);
export type ControlAnswer = z.infer<typeof controlAnswer>;

/** Answers requests of one control connection. */
export function serveControl(socket: Socket, link: Link): void {
  socket.on('error', () => socket.destroy());
  createInterface({ input: socket }).on('line', (line) => {
    socket.write(`${JSON.stringify(answer(line, link))}\n`);
  });
}

function answer(line: string, link: Link): object {
  try {
    const request = controlRequest.parse(JSON.parse(line));
    switch (request.command) {
      case 'set':
        link.set(request.direction, request.parameters);
        return { ok: true };
      case 'play':
        link.play(request.trace);
        return { ok: true };
      case 'statistics':
        return { ok: true, statistics: link.statistics() };
    }
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) };
  }
}
