import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { endStrays, findStrays, guestPaths } from '../../src/guest/index.ts';

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** A process with the arguments that tell a guest's QEMU from others. */
async function stand(guestId: string, directory: string): Promise<ChildProcess> {
  const argv = ['-e', 'setInterval(() => {}, 1000)', '--', '-uuid', guestId];
  const socket = `socket,id=qmp,path=${guestPaths(directory).qmpSocket.replaceAll(',', ',,')},server=on`;
  const child = spawn(process.execPath, [...argv, '-chardev', socket], { stdio: 'ignore' });
  children.push(child);
  await once(child, 'spawn');
  return child;
}

describe('QEMUs that nobody recorded', () => {
  it('are ended, and no others', async () => {
    const [guest, other] = [randomUUID(), randomUUID()];
    const stray = await stand(guest, '/state/guests/a');
    const spared = [await stand(other, '/state/guests/a'), await stand(guest, '/elsewhere/a')];
    const ended = once(stray, 'exit');
    expect(await findStrays(guest, '/state/guests/a')).toMatchObject([
      { process: { pid: stray.pid }, binary: process.execPath },
    ]);
    expect(await endStrays(guest, '/state/guests/a')).toEqual([stray.pid]);
    expect((await ended)[1]).toBe('SIGKILL');
    for (const child of spared) expect(child.exitCode ?? child.signalCode).toBeNull();
    expect(await endStrays(guest, '/state/guests/a')).toEqual([]);
  });

  it('are found where the path has a comma', async () => {
    const guest = randomUUID();
    const stray = await stand(guest, '/state,1/a');
    expect(await endStrays(guest, '/state,1/a')).toEqual([stray.pid]);
  });
});
