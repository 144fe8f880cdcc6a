/** What every place has in common, so that a guest finds the same gateway wherever it wakes up (DESIGN, "Network"). */
export const GATEWAY_MAC = '02:53:4f:4a:00:01';
/** The MAC of the host's side of a TAP. */
export const TAP_HOST_MAC = '02:53:4f:4a:00:02';
export const GATEWAY_LINK_LOCAL = 'fe80::1';
/** The guest's MTU in every mode, bytes of layer 3. */
export const GUEST_MTU = 1380;
