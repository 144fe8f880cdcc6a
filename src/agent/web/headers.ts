/** What the browser is told about every answer: the page is ours alone, and talks to nobody else. */
import { contentSecurityPolicy } from '../../ui/index.ts';

export function securityHeaders(host: string): Readonly<Record<string, string>> {
  return {
    // Not every browser takes 'self' for a WebSocket of the same origin.
    'Content-Security-Policy': contentSecurityPolicy([`ws://${host}`]),
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Permissions-Policy': 'camera=(), microphone=(), geolocation=(), usb=(), serial=()',
  };
}
