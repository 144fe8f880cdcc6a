/** QEMU answered the command with an error. The guest and the connection are as they were. */
export class QmpError extends Error {
  override readonly name = 'QmpError';
  readonly command: string;
  /** QEMU's error class: `GenericError`, `CommandNotFound`, `DeviceNotFound`, ... */
  readonly errorClass: string;
  readonly description: string;

  constructor(command: string, errorClass: string, description: string) {
    super(`QEMU refused ${command}: ${description}`);
    this.command = command;
    this.errorClass = errorClass;
    this.description = description;
  }
}

/** No answer within the deadline. The command may still take effect later: the caller must look. */
export class QmpTimeoutError extends Error {
  override readonly name = 'QmpTimeoutError';
  readonly waitedFor: string;
  readonly timeoutMs: number;

  constructor(waitedFor: string, timeoutMs: number) {
    super(`QEMU did not answer within ${timeoutMs} ms: ${waitedFor}`);
    this.waitedFor = waitedFor;
    this.timeoutMs = timeoutMs;
  }
}

/** The connection is gone: QEMU ended, or it was closed here. Nothing more can be learnt from it. */
export class QmpClosedError extends Error {
  override readonly name = 'QmpClosedError';

  constructor(reason: string, cause?: unknown) {
    super(`the QMP connection is closed: ${reason}`, cause === undefined ? undefined : { cause });
  }
}

/** The other end does not speak QMP, or breaks its rules; the connection is closed by it. */
export class QmpProtocolError extends Error {
  override readonly name = 'QmpProtocolError';
}
