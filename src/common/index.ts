export {
  asSojournError,
  type ErrorKind,
  errorText,
  SojournError,
  type SojournErrorOptions,
} from './errors.ts';
