import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SendWindow } from '../../src/datapath/send-window.ts';
import {
  acceptsHello,
  decodeGuestHeader,
  encodeForward,
  encodeMarker,
  encodeNumber,
  FRAME,
  markerOf,
} from '../../src/datapath/tunnel-frames.ts';

const guestId = '6f1c2b1e-7a55-4b0e-9d5d-0123456789ab';

describe('tunnel frames', () => {
  it('have the layout that is documented', () => {
    expect(encodeNumber(FRAME.ping, 1).toString('hex')).toBe('0008033ff0000000000000');
    expect(encodeMarker('end', guestId, 3).toString('hex')).toBe(
      `001811${guestId.replaceAll('-', '')}4008000000000000`,
    );
    const forward = encodeForward(guestId, 3, Buffer.from('45', 'hex'));
    expect(forward.toString('hex')).toBe(`001914${guestId.replaceAll('-', '')}400800000000000045`);
  });

  it.each(['hold', 'end', 'unhold', 'fwd-end'] as const)(
    '%s is read as it was written',
    (marker) => {
      const frame = encodeMarker(marker, guestId, 2 ** 40);
      expect(markerOf(frame[2] as number)).toBe(marker);
      expect(decodeGuestHeader(frame.subarray(3))).toEqual({ guestId, epoch: 2 ** 40 });
      for (let end = 3; end < frame.length; end++)
        expect(decodeGuestHeader(frame.subarray(3, end))).toBeUndefined();
    },
  );

  it('with an epoch that is none are refused', () => {
    for (const epoch of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])
      expect(decodeGuestHeader(encodeMarker('end', guestId, epoch).subarray(3))).toBeUndefined();
  });

  it.each([
    [[1, 1], true],
    [[1, 9], true],
    [[0, 1], false],
    [[2, 3], false],
    [[2, 1], false],
    [[1], false],
    [[], false],
  ])('HELLO %j: %s', (bytes, accepted) => {
    expect(acceptsHello(Buffer.from(bytes))).toBe(accepted);
  });
});

describe('the send window', () => {
  const KIB = 1024;

  it('holds half a second of what the link delivers, within its bounds', () => {
    const window = new SendWindow(0);
    expect(window.limit).toBe(KIB * KIB);
    window.sent(10_000_000);
    window.acknowledged(250_000, 100);
    expect(window.rate).toBe(2_500_000);
    expect(window.limit).toBe(1_250_000);
    expect(window.inFlight).toBe(9_750_000);
    window.acknowledged(9_000_000, 200);
    expect(window.limit).toBe(8 * KIB * KIB);
  });

  it('forgets a rate that the link has not had for long', () => {
    const window = new SendWindow(0);
    window.sent(10_000_000);
    window.acknowledged(1_000_000, 100);
    for (let i = 1; i <= 8; i++) window.acknowledged(1_000_000 + i, 100 + i * 100);
    expect(window.limit).toBe(KIB * KIB);
  });

  it('does not believe nonsense', () => {
    fc.assert(
      fc.property(fc.array(fc.double()), (totals) => {
        const window = new SendWindow(0);
        window.sent(1_000);
        for (const [i, total] of totals.entries()) window.acknowledged(total, i * 1_000);
        expect(window.inFlight).toBeGreaterThanOrEqual(0);
        expect(window.inFlight).toBeLessThanOrEqual(1_000);
      }),
    );
  });
});
