/**
 * Structures as tables. A layout lists the fields of a structure in wire order, each with its name and kind; a
 * number stands for that many bytes of padding, which are sent as zeros and ignored when received.
 */
import type { OpenFlowError } from '../errors.ts';
import type { LengthError, Reader, Writer } from './wire.ts';

/** How one value is read and written. A kind of no fixed size reads to the end of its reader. */
export interface Kind<T> {
  read(from: Reader): T;
  write(to: Writer, value: T): void;
}

/** A kind of some structure, for tables of different ones: who writes knows which it is. */
export interface AnyKind {
  read(from: Reader): object;
  write(to: Writer, value: never): void;
}

export const u8: Kind<number> = { read: (from) => from.u8(), write: (to, value) => to.u8(value) };
export const u16: Kind<number> = {
  read: (from) => from.u16(),
  write: (to, value) => to.u16(value),
};
export const u32: Kind<number> = {
  read: (from) => from.u32(),
  write: (to, value) => to.u32(value),
};
export const u64: Kind<bigint> = {
  read: (from) => from.u64(),
  write: (to, value) => to.u64(value),
};
/** 48 bits. */
export const mac: Kind<bigint> = {
  read: (from) => from.big(6),
  write: (to, value) => to.big(value, 6),
};

/** Everything to the end. */
export const rest: Kind<Uint8Array> = {
  read: (from) => from.rest(),
  write: (to, value) => to.bytes(value),
};

/** NUL-terminated text in `size` bytes, one character per byte. Without a NUL its last byte is lost. */
export function text(size: number): Kind<string> {
  return {
    read(from) {
      const bytes = Buffer.from(from.bytes(size));
      const end = bytes.indexOf(0);
      return bytes.toString('latin1', 0, end < 0 ? size - 1 : end);
    },
    write(to, value) {
      const bytes = Buffer.from(value, 'latin1');
      if (bytes.length >= size) throw new RangeError(`"${value}" is longer than ${size - 1} bytes`);
      to.bytes(bytes);
      to.pad(size - bytes.length);
    },
  };
}

/** A number that stands for a name; `undefined` names no value. */
export function choice<const Name extends string>(
  number: Kind<number>,
  names: readonly (Name | undefined)[],
  unknown: (detail: string) => OpenFlowError,
): Kind<Name> {
  return {
    read(from) {
      const value = number.read(from);
      const name = names[value];
      if (name === undefined) throw unknown(`${value} stands for nothing`);
      return name;
    },
    write(to, value) {
      number.write(to, names.indexOf(value));
    },
  };
}

/** Flag bits of which only those of `known` may be set. */
export function flags(
  number: Kind<number>,
  known: number,
  unknown: (detail: string) => OpenFlowError,
): Kind<number> {
  return {
    read(from) {
      const value = number.read(from);
      if ((value & ~known) !== 0) throw unknown(`flags 0x${value.toString(16)}`);
      return value;
    },
    write: (to, value) => number.write(to, value),
  };
}

/** `count` values one after the other. */
export function times<T>(count: number, kind: Kind<T>): Kind<readonly T[]> {
  return {
    read: (from) => Array.from({ length: count }, () => kind.read(from)),
    write(to, values) {
      if (values.length !== count) throw new RangeError(`${values.length} instead of ${count}`);
      for (const value of values) kind.write(to, value);
    },
  };
}

/** Values to the end. */
export function many<T>(kind: Kind<T>): Kind<readonly T[]> {
  return {
    read(from) {
      const values: T[] = [];
      while (from.left > 0) values.push(kind.read(from));
      return values;
    },
    write(to, values) {
      for (const value of values) kind.write(to, value);
    },
  };
}

/**
 * A structure that has its own length in a be16 at `offset`, which its layout leaves out as padding.
 * @param align the length must be a multiple of it
 */
export function sized<T>(
  inner: Kind<T>,
  offset: number,
  lengthError: LengthError,
  align = 1,
): Kind<T> {
  return {
    read(from) {
      if (from.left < offset + 2) throw lengthError(`${from.left} bytes of a structure`);
      const length = from.peek16(offset);
      if (length < offset + 2 || length > from.left || length % align !== 0)
        throw lengthError(`length ${length} with ${from.left} bytes left`);
      const part = from.part(length, lengthError);
      const value = inner.read(part);
      part.finish();
      return value;
    },
    write(to, value) {
      const start = to.length;
      inner.write(to, value);
      to.patch16(start + offset, to.length - start);
    },
  };
}

type Cell<T> = number | { [Name in keyof T]-?: readonly [Name, Kind<T[Name]>] }[keyof T];

/** @example layout<Duration>()(['durationSeconds', u32], ['durationNanoseconds', u32]) */
export function layout<T extends object>() {
  return (...cells: readonly Cell<T>[]): Kind<T> => ({
    read(from) {
      const value: Record<PropertyKey, unknown> = {};
      for (const cell of cells) {
        if (typeof cell === 'number') from.skip(cell);
        else value[cell[0]] = cell[1].read(from);
      }
      return value as T;
    },
    write(to, value) {
      for (const cell of cells) {
        if (typeof cell === 'number') to.pad(cell);
        else cell[1].write(to, value[cell[0]]);
      }
    },
  });
}
