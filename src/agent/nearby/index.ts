export { MulticastDiscovery } from './discovery.ts';
export { Nearby } from './nearby.ts';
