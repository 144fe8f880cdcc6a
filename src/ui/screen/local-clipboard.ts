/** Text of the clipboard of the device that shows the window. */
import type { DesktopShell } from '../transport.ts';

/**
 * @param byPerson somebody has just asked for it: a browser may ask back
 * @returns undefined where it may not be read
 */
export async function readLocal(
  shell: DesktopShell,
  byPerson: boolean,
): Promise<string | undefined> {
  try {
    if (shell.readClipboard !== undefined) return await shell.readClipboard();
    if (!byPerson && !(await isGranted())) return undefined;
    return await navigator.clipboard.readText();
  } catch {
    // Who may read it is the browser's to say, and it gives no reason that helps.
    return undefined;
  }
}

/** False where it may not be written without a click. */
export async function writeLocal(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** Of browsers whose permissions do not know the clipboard none reads it without asking. */
async function isGranted(): Promise<boolean> {
  const { state } = await navigator.permissions.query({ name: 'clipboard-read' as PermissionName });
  return state === 'granted';
}
