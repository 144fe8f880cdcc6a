/** English: also says which words there are, and what goes into each. */

export const en = {
  /** How long from the request to running there, already with its unit. */
  states: {
    running: (guest: string) => `${guest} runs here`,
    safe: (place: string, time: string | undefined) =>
      time === undefined ? `Safe: ${place} can take over` : `Safe: ${place} ${time} away`,
    hindered: (place: string, reason: string) => `Safe at ${place}, but ${reason}`,
    filling: (place: string, percent: number | null) =>
      percent === null ? `Getting safe at ${place}` : `Getting safe at ${place}, ${percent} %`,
    risk: (reason: string) => `At risk: ${reason}`,
    notReady: (place: string) => `At risk: ${place} cannot take over now`,
    alone: 'Stands by nowhere',
    moving: (guest: string, place: string) => `${guest} is moving to ${place}`,
    arriving: (guest: string, place: string) => `${guest} is arriving from ${place}`,
    away: (guest: string, place: string) => `${guest} runs at ${place}`,
    awayPaused: (guest: string, place: string) => `${guest} is paused at ${place}`,
    awayStopped: (guest: string, place: string) => `${guest} is stopped at ${place}`,
    awayUnknown: (guest: string, place: string) => `${guest} is at ${place}, not heard of since`,
    starting: (guest: string) => `${guest} is starting`,
    stopping: (guest: string) => `${guest} is stopping`,
    stopped: (guest: string) => `${guest} is stopped`,
    paused: (guest: string) => `${guest} is paused`,
    crashed: (guest: string) => `${guest} crashed`,
    inDoubt: (guest: string, place: string) => `${guest}: here or at ${place}? Decide`,
  },
  pauseReasons: {
    'overlay-limit': 'Its disk space here is used up',
    user: 'On request',
    'disk-error': 'A disk error',
    incoming: 'It is arriving',
    unresponsive: 'It does not answer',
  },
  guestActions: {
    handOffTo: (place: string) => `Hand off to ${place}`,
    handOff: 'Hand off to',
    bringBack: 'Bring back here',
    cancel: 'Cancel the move',
    keepSafe: (place: string) => `Keep safe at ${place}`,
    start: 'Start',
    stop: 'Stop',
    open: 'Open',
    decide: 'Decide …',
  },
  unavailable: {
    notConnected: 'not connected',
    isThere: 'it is there',
    noPlaces: 'No place is paired yet',
  },
  receive: {
    title: 'Receive sessions',
    off: 'Off',
    ask: 'Ask',
    always: 'Always',
  },
  link: {
    none: 'Link: no site connected',
    good: (place: string) => `Link to ${place}: good`,
    slow: (place: string) => `Link to ${place}: slow`,
    verySlow: (place: string) => `Link to ${place}: very slow`,
    known: (place: string) => `Link to ${place}: connected`,
    lost: (place: string) => `Link to ${place}: lost`,
    failing: 'Link: will probably be lost soon',
  },
  agent: {
    looking: 'Looking for the agent',
    starting: 'Starting the agent',
    replacing: 'Changing to the new agent',
    failed: 'The agent does not run',
    tryAgain: 'Try again now',
    foreign: (version: string) => `The agent is of another version (${version})`,
    older: (version: string) => `The agent that runs is ${version}`,
    replace: 'Change to this version (guests keep running)',
    noGuests: 'No guest yet',
    setUp: 'Set up a guest …',
  },
  general: {
    problems: (count: number) => (count === 1 ? '1 problem' : `${count} problems`),
    openWindow: 'Open Sojourn',
    settings: 'Settings',
    moreSettings: 'All settings …',
    automatic: 'Leave before the link is lost',
    startAtLogin: 'Start at login',
    notifications: 'Notifications',
    automaticUpdates: 'Automatic updates',
    quit: 'Quit (guests keep running)',
    pair: 'Pair with a place …',
  },
  foreignPrompt: {
    title: 'Another version of the agent runs',
    newer: (agent: string, app: string) =>
      `The agent that manages your guests is version ${agent}; this app is version ${app}. They cannot talk to each other.`,
    detail:
      'Changing to this version ends that agent and starts the one of this app. Guests keep running and keep their connections meanwhile.',
    replace: 'Change to this version',
    later: 'Not now',
  },
  failure: (what: string) => `${what} did not work`,
  notification: {
    moved: (guest: string, place: string) => `${guest} now runs at ${place}`,
    back: (guest: string) => `${guest} is back here`,
    crashed: (guest: string) => `${guest} crashed`,
    inDoubt: (guest: string) => `${guest} waits for your decision`,
    several: (count: number) => `${count} things need attention`,
  },
};

export type Words = typeof en;
