/**
 * Cuts a stream into JSON values: OVSDB's peers write one object behind the other with nothing between them (RFC 7047, 4). Only
 * objects can begin a message.
 */
export class JsonStream {
  readonly #limit: number;
  #text = '';
  #scanned = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;

  /** @param limit characters of one message. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * @returns what is whole now, parsed.
   * @throws RangeError for a message above the limit, SyntaxError for what is no JSON object. Nothing can be read after either.
   */
  push(chunk: string): unknown[] {
    this.#text += chunk;
    const found: unknown[] = [];
    let start = 0;
    for (; this.#scanned < this.#text.length; this.#scanned++) {
      const character = this.#text[this.#scanned] as string;
      if (this.#depth === 0 && !/[\s{]/.test(character))
        throw new SyntaxError(`a message begins with ${JSON.stringify(character)}`);
      if (!this.#ends(character)) continue;
      found.push(JSON.parse(this.#text.slice(start, this.#scanned + 1)));
      start = this.#scanned + 1;
    }
    this.#text = this.#text.slice(start);
    this.#scanned -= start;
    if (this.#text.length > this.#limit)
      throw new RangeError(`a message of more than ${this.#limit} characters`);
    return found;
  }

  /** @returns whether the object that began first ends here. */
  #ends(character: string): boolean {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (character === '\\') this.#escaped = true;
      else if (character === '"') this.#inString = false;
      return false;
    }
    if (character === '"') this.#inString = true;
    else if (character === '{' || character === '[') this.#depth++;
    else if (character === '}' || character === ']') return --this.#depth === 0;
    return false;
  }
}
