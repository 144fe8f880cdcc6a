export {
  eui64Address,
  type HomePrefixes,
  networkOfGuest,
  parseHomePrefixes,
} from './address-plan.ts';
export { type HomeRecord, Registry } from './registry.ts';
