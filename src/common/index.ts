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
