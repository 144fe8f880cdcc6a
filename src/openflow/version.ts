/** Which version two ends speak (OpenFlow 1.3.5, 6.3.1). */
import { OPENFLOW_VERSION } from './constants.ts';
import { type OpenFlowError, openFlowError } from './errors.ts';
import type { Hello } from './messages.ts';

export const ourHello: Hello = {
  type: 'hello',
  version: OPENFLOW_VERSION,
  versions: [OPENFLOW_VERSION],
};

/**
 * With bitmaps on both sides the highest version in both, else the smaller of the versions in the headers. We speak
 * one, so the answer is whether it is that one.
 * @returns undefined when it is
 */
export function refuseVersion(theirs: Hello): OpenFlowError | undefined {
  const common =
    theirs.versions.length > 0
      ? theirs.versions.includes(OPENFLOW_VERSION)
      : theirs.version >= OPENFLOW_VERSION;
  if (common) return undefined;
  const spoken = theirs.versions.length > 0 ? theirs.versions : [theirs.version];
  const text = `we speak version 4 (OpenFlow 1.3), the peer ${spoken.join(', ')}`;
  return openFlowError('hello-failed', 'incompatible', text);
}
