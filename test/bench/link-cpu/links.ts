/** One that the policy lets be, and one that it reads at its quickest. */
export const LINKS = [
  { name: 'calm link', dbm: -50 },
  { name: 'watched closely', dbm: -72 },
] as const;
