import { SojournError } from './errors.ts';

/** `sun_path` holds 108 bytes with its final zero on Linux (unix(7)), 104 on macOS. */
const MAX_SOCKET_PATH_BYTES = process.platform === 'darwin' ? 103 : 107;

/** @throws SojournError `socket-path-too-long` for what the system would cut off or refuse. */
export function checkSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes <= MAX_SOCKET_PATH_BYTES) return;
  throw new SojournError({
    kind: 'requirement',
    code: 'socket-path-too-long',
    message: `The socket path ${path} has ${bytes} bytes, and the system allows ${MAX_SOCKET_PATH_BYTES}`,
    remedy: 'Choose a state directory with a shorter path (--state)',
  });
}
