/** Why two devices did not pair, in words for people. */
import { SojournError } from '../../common/index.ts';
import type { FailureReason } from '../../transport/index.ts';

interface Failure {
  readonly code: string;
  readonly text: string;
  readonly remedy: string;
}

const AGAIN = 'Begin again at either device';

export function failureOf(reason: FailureReason, peer: string): Failure {
  const { text, remedy } = texts(peer)[reason];
  return { code: `pairing-${reason}`, text, remedy };
}

function texts(peer: string): Record<FailureReason, { text: string; remedy: string }> {
  return {
    'refused-here': { text: 'You ended the pairing', remedy: AGAIN },
    'refused-there': {
      text: `The person at ${peer} ended the pairing`,
      remedy: 'Ask the person there, and begin again',
    },
    'codes-differ-here': {
      text: 'You said that the codes differ, so something may be between the two devices',
      remedy: 'Try again in a network that you trust',
    },
    'codes-differ-there': {
      text: `The person at ${peer} said that the codes differ, so something may be between the two devices`,
      remedy: 'Try again in a network that you trust',
    },
    'timed-out': { text: 'It was not confirmed in time', remedy: AGAIN },
    'timed-out-there': { text: `It was not confirmed in time at ${peer}`, remedy: AGAIN },
    'commitment-broken': {
      text: `What ${peer} showed is not what it had promised: something tried to get between the two devices`,
      remedy: 'Try again in a network that you trust',
    },
    'out-of-order': {
      text: `${peer} does not keep to the protocol`,
      remedy: 'Update Sojourn on both devices, and begin again',
    },
    'connection-lost': {
      text: `The connection to ${peer} was lost`,
      remedy: 'Check that both devices are in the same network, and begin again',
    },
    'busy-there': {
      text: `${peer} is pairing with another device just now`,
      remedy: 'Wait until that has ended, and begin again',
    },
    'too-many-tries-there': {
      text: `Too many attempts failed at ${peer}`,
      remedy: 'Wait ten minutes, and begin again',
    },
  };
}

export function tooManyTries(waitMs: number): SojournError {
  const minutes = Math.ceil(waitMs / 60_000);
  return new SojournError({
    kind: 'conflict',
    code: 'pairing-too-many-tries',
    message: 'Too many attempts to pair have failed',
    remedy: `Wait ${minutes === 1 ? 'a minute' : `${minutes} minutes`}, and begin again`,
  });
}

export function deviceUnknown(): SojournError {
  return new SojournError({
    kind: 'not-found',
    code: 'device-not-nearby',
    message: 'No such device is nearby, or it is no longer ready to pair',
    remedy: 'Open the pairing page, or run "sojourn pair --nearby", on the other device too',
  });
}

export function pairingBusy(): SojournError {
  return new SojournError({
    kind: 'conflict',
    code: 'pairing-under-way',
    message: 'This device is pairing with another one just now',
    remedy: 'End that first',
  });
}

export function attemptUnknown(): SojournError {
  return new SojournError({
    kind: 'not-found',
    code: 'attempt-unknown',
    message: 'That attempt to pair has ended',
    remedy: AGAIN,
  });
}

export function notOpen(): SojournError {
  return new SojournError({
    kind: 'conflict',
    code: 'nearby-not-open',
    message: 'Nobody watches for devices nearby just now',
    remedy: 'Open the pairing page, or run "sojourn pair --nearby"',
  });
}
