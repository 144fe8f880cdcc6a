/** Keys in RFB messages: KeyEvent (RFC 6143, 7.5.4), and QEMU's extended one, which has the key's place as well. */

const KEY_EVENT = 4;
const QEMU = 255;
/** X11 keysyms: Shift to Hyper, and ISO_Level3_Shift (AltGr). */
const FIRST_MODIFIER = 0xffe1;
const LAST_MODIFIER = 0xffee;
const LEVEL3_SHIFT = 0xfe03;

export interface RfbKey {
  /** The same for its press and its release. */
  readonly id: string;
  readonly down: boolean;
  readonly isModifier: boolean;
}

/** Undefined for another message. */
export function keyOf(message: Uint8Array): RfbKey | undefined {
  const [type, second, , fourth] = message;
  const isExtended = type === QEMU && second === 0;
  if (type !== KEY_EVENT && !isExtended) return undefined;
  const down = (isExtended ? fourth : second) !== 0;
  const keysym = new DataView(message.buffer, message.byteOffset).getUint32(4);
  const isModifier =
    (keysym >= FIRST_MODIFIER && keysym <= LAST_MODIFIER) || keysym === LEVEL3_SHIFT;
  return { id: `${type} ${message.subarray(4).join()}`, down, isModifier };
}

/** The release that belongs to a press. */
export function releaseOf(press: Uint8Array): Uint8Array {
  // Not `slice`, which of a Buffer shares its bytes.
  const release = Uint8Array.from(press);
  release[press[0] === QEMU ? 3 : 1] = 0;
  return release;
}

/** The presses of `down`, by key, after one message more. */
export function pressed(
  down: ReadonlyMap<string, Uint8Array>,
  message: Uint8Array,
): ReadonlyMap<string, Uint8Array> {
  const key = keyOf(message);
  if (key === undefined || key.down === down.has(key.id)) return down;
  const next = new Map(down);
  if (key.down) next.set(key.id, message);
  else next.delete(key.id);
  return next;
}
