/** Which processes live in a network namespace. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Ids of the processes in the namespace whose command line contains the text; the holder of it not included. */
export function processesIn(mark: string, text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        if (readlinkSync(`/proc/${pid}/ns/net`) !== mark) return false;
        const line = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
        return line.trim() !== 'cat' && line.includes(text);
      } catch {
        // It has ended in the meantime.
        return false;
      }
    });
}
