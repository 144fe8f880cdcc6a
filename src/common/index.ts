export {
  asClause,
  asSojournError,
  type ErrorKind,
  errorText,
  SojournError,
  type SojournErrorOptions,
} from './errors.ts';
export {
  makePrivateDirectory,
  readFileIfPresent,
  syncDirectory,
  writeFileAtomically,
} from './files.ts';
export { checkSocketPath } from './socket-path.ts';
export { fromWireError, plainText, toWireError, type WireError, wireError } from './wire-error.ts';
