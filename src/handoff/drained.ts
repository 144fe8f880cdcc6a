import type { Writable } from 'node:stream';

/** Resolves when a full stream takes more, or is closed. Leaves no listener behind. */
export function drainedOrClosed(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stream.off('drain', done);
      stream.off('close', done);
      resolve();
    };
    if (stream.destroyed) {
      resolve();
      return;
    }
    stream.on('drain', done);
    stream.on('close', done);
  });
}
