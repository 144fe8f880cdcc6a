export { type GuestFlows, guestFlows } from './guest-flows.ts';
export { type SiteFlows, siteFlows } from './site-flows.ts';
export { cookieOf, PURPOSE, type Purpose, purposeOf } from './tables.ts';
