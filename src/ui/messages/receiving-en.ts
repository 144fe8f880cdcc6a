/** English texts about devices nearby, and about guests of other places that come here. */

const TRY_AGAIN = 'Begin again on either device';
const TRUSTED = 'Try again in a network that you trust';

export const receivingEn = {
  nearby: {
    title: 'Pair with a device nearby',
    open: 'Pair with a device nearby',
    help: 'Open this on the other device too. Both have to be in the same network.',
    visible: (name: string) => `Visible to devices nearby as ${name} while this is open.`,
    looking: 'Looking for devices …',
    devices: 'Devices nearby',
    pair: 'Pair',
    pairWith: (name: string) => `Pair with ${name}`,
    already: 'paired already',
    connecting: (name: string) => `Connecting to ${name} …`,
    question: (name: string) => `Does ${name} show the same number?`,
    code: 'Number to compare',
    asks: (name: string) => `${name} wants to pair with this device.`,
    left: (time: string) => `${time} left`,
    same: 'Yes, the same',
    different: 'No, another one',
    there: (name: string) => `${name} has confirmed it.`,
    waiting: (name: string) => `Waiting for ${name} …`,
    done: (name: string) => `Paired with ${name}`,
    doneHelp: 'Guests can now go there and back. What they may do here is under "Rights".',
    warning:
      'Whoever uses that device can read the memory and the disk of every guest you hand to it.',
    cancel: 'Stop pairing',
  },
  receiving: {
    title: 'Receive sessions',
    help: 'Whether guests of other places may come here. Your own always find back.',
    all: 'From places of which nothing else is said',
    modes: { off: 'Off', ask: 'Ask me', always: 'Always' },
    asAll: (mode: string) => `As all: ${mode}`,
    listens: (addresses: string) => `Other devices reach this one at ${addresses}`,
    rights: 'Rights',
    rightsOf: (place: string) => `Rights of ${place}`,
    from: (place: string) => `Guests from ${place}`,
    fetch: 'It may ask for guests that it has had',
    limits: 'What its guests may use here; empty for no limit',
    guests: 'Guests',
    memory: 'Memory, GiB',
    disk: 'Disk, GiB',
    apply: 'Apply',
    facts: (mode: string, fetch: boolean) => (fetch ? `${mode}; may fetch guests` : mode),
    limited: (limits: string) => `at most ${limits}`,
    countGuests: (count: number) => (count === 1 ? '1 guest' : `${count} guests`),
    ofMemory: (amount: string) => `${amount} memory`,
    ofDisk: (amount: string) => `${amount} disk`,
  },
  incoming: {
    title: (guest: string) => `Let ${guest} in?`,
    help: (place: string) => `${place} wants to hand it over to this place.`,
    standby: (place: string) => `${place} wants it to stand by here, ready to go on.`,
    from: 'From',
    memory: 'Memory',
    processors: 'Processors',
    disk: 'Disk, at most',
    left: (time: string) => `Refused in ${time} without an answer.`,
    accept: 'Let it in',
    always: (place: string) => `Always from ${place}`,
    refuse: 'Refuse',
    later: (guest: string, place: string) => `${guest} from ${place} asks to come in`,
    answer: 'Answer',
  },
  failures: {
    'pairing-refused-here': { message: 'You ended the pairing', remedy: TRY_AGAIN },
    'pairing-refused-there': {
      message: 'The person at the other device ended the pairing',
      remedy: 'Ask that person, and begin again',
    },
    'pairing-codes-differ-here': {
      message: 'You said that the numbers differ, so something may be between the two devices',
      remedy: TRUSTED,
    },
    'pairing-codes-differ-there': {
      message: 'At the other device it was said that the numbers differ',
      remedy: TRUSTED,
    },
    'pairing-timed-out': { message: 'It was not confirmed in time', remedy: TRY_AGAIN },
    'pairing-timed-out-there': {
      message: 'It was not confirmed in time at the other device',
      remedy: TRY_AGAIN,
    },
    'pairing-commitment-broken': {
      message: 'Something tried to get between the two devices',
      remedy: TRUSTED,
    },
    'pairing-out-of-order': {
      message: 'The other device does not keep to the protocol',
      remedy: 'Update Sojourn on both devices, and begin again',
    },
    'pairing-connection-lost': {
      message: 'The connection to the other device was lost',
      remedy: 'Check that both devices are in the same network, and begin again',
    },
    'pairing-busy-there': {
      message: 'The other device is pairing with another one just now',
      remedy: 'Wait until that has ended, and begin again',
    },
    'pairing-too-many-tries-there': {
      message: 'Too many attempts failed at the other device',
      remedy: 'Wait ten minutes, and begin again',
    },
    'pairing-too-many-tries': {
      message: 'Too many attempts to pair have failed',
      remedy: 'Wait ten minutes, and begin again',
    },
    'device-not-nearby': {
      message: 'That device is no longer ready to pair',
      remedy: 'Open the same page on the other device',
    },
    'incoming-unknown': {
      message: 'That guest does not ask to come in any more',
      remedy: 'Begin again at the other place',
    },
  },
};
