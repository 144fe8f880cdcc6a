/** Text as keys (X11 keysyms: Latin-1 as it is, Unicode from 0x01000000 on), with Shift where a US keyboard needs it. */
const SHIFT = 0xffe1;
const SHIFTED = /[A-Z~!@#$%^&*()_+{}|:"<>?]/;
const SPECIAL: Readonly<Record<string, number>> = { '\n': 0xff0d, '\t': 0xff09 };
const FIRST_UNICODE = 0x0100_0000;

export interface Key {
  readonly keysym: number;
  readonly down: boolean;
}

export function keysOf(text: string): Key[] {
  return [...text.replaceAll('\r\n', '\n')].flatMap((character) => {
    const point = character.codePointAt(0) ?? 0;
    const keysym = SPECIAL[character] ?? (point < 0x100 ? point : FIRST_UNICODE + point);
    const press = [
      { keysym, down: true },
      { keysym, down: false },
    ];
    if (!SHIFTED.test(character)) return press;
    return [{ keysym: SHIFT, down: true }, ...press, { keysym: SHIFT, down: false }];
  });
}
