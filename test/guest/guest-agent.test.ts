import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { needsCorrection } from '../../src/guest/guest-agent.ts';
import { correctClock } from '../../src/guest/index.ts';

const HOST_MS = 1_767_225_600_123;
let sequence = 0;

/** An agent that answers as `answer` says; undefined: not at all. Returns the result and the lines it got. */
async function against(
  answer: (command: string, args: Record<string, number>) => string | undefined,
  timeoutMs = 5_000,
) {
  const path = join(tmpdir(), `fake-qga-${process.pid}-${sequence++}.sock`);
  const received: string[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1').replaceAll('\xff', '');
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) {
        received.push(line);
        const { execute, arguments: args } = JSON.parse(line);
        const reply = answer(execute, args);
        if (reply !== undefined) socket.write(Buffer.from(`${reply}\n`, 'latin1'));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const result = await correctClock(path, { timeoutMs, now: () => HOST_MS });
  server.close();
  await rm(path, { force: true });
  return { result, received };
}

function agentWithClock(guestMs: number) {
  return (command: string, args: Record<string, number>) => {
    if (command === 'guest-sync-delimited') return `\xff{"return": ${args.id}}`;
    if (command === 'guest-get-time') return `{"return": ${guestMs}000000}`;
    return '{"return": {}}';
  };
}

function afterSync(line: string) {
  return (command: string, args: Record<string, number>) =>
    command === 'guest-sync-delimited' ? `\xff{"return": ${args.id}}` : line;
}

test('a guest that is behind by a pause is set to the host’s time, to the nanosecond', async () => {
  const { result, received } = await against(agentWithClock(HOST_MS - 350));
  expect(result).toMatchObject({ outcome: 'set', offsetMs: expect.closeTo(-350, 0) });
  expect(received.at(-1)).toBe(
    `{"execute":"guest-set-time","arguments":{"time":${HOST_MS}000000}}`,
  );
});

test('a guest that keeps time is left alone', async () => {
  const { result, received } = await against(agentWithClock(HOST_MS + 3));
  expect(result).toMatchObject({ outcome: 'unchanged' });
  expect(received).toHaveLength(2);
});

test('an answer left over from somebody else is skipped', async () => {
  const clock = agentWithClock(HOST_MS);
  const { result } = await against((command, args) =>
    command === 'guest-sync-delimited'
      ? `{"return": 1\xff{"return": -1}\n\xff{"return": ${args.id}}`
      : clock(command, args),
  );
  expect(result).toMatchObject({ outcome: 'unchanged' });
});

test.each([
  ['stays silent', () => undefined, /did not answer/],
  ['never synchronises', () => '{"return": {}}', /did not answer/],
  ['sends garbage', afterSync('garbage'), /not JSON/],
  ['sends too much', () => 'x'.repeat(70_000), /longer than 65536/],
  ['refuses', afterSync('{"error": {"class": "GenericError", "desc": "disabled"}}'), /disabled/],
  ['lies about the time', afterSync('{"return": "noon"}'), /expected number/],
])('an agent that %s is no agent', async (_, answer, reason) => {
  const { result } = await against(answer, 100);
  expect(result).toMatchObject({ outcome: 'no-agent', reason: expect.stringMatching(reason) });
});

test('no agent channel is no agent', async () => {
  expect(await correctClock('/nonexistent/agent.sock')).toMatchObject({ outcome: 'no-agent' });
});

test.each([
  [0, 0, false],
  [-19, 0, false],
  [-21, 0, true],
  [-60, 50, false],
  [-71, 50, true],
  [4_999, 0, false],
  [5_001, 0, true],
])('off by %d ms, give or take %d ms: corrected %s', (offset, uncertain, corrected) => {
  expect(needsCorrection(offset, uncertain)).toBe(corrected);
});
