/**
 * The window's Content Security Policy (CSP Level 3), also for the desktop shell. No inline script or style, nothing from
 * elsewhere, no place in another page; scripts cannot be made from text (Trusted Types). `connect`: what beside the
 * page's own origin it may talk to.
 */
export function contentSecurityPolicy(connect: readonly string[] = []): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    ["connect-src 'self'", ...connect].join(' '),
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');
}
