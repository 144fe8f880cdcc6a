/** A file that a desktop starts a program by (Desktop Entry Specification 1.5). */

export function desktopEntry(command: readonly string[]): string {
  return [
    '[Desktop Entry]',
    'Type=Application',
    'Name=Sojourn',
    'Comment=Keeps guests running while the network changes',
    `Exec=${command.map(quoted).join(' ')}`,
    'Icon=sojourn',
    'X-GNOME-Autostart-enabled=true',
    '',
  ].join('\n');
}

/** Desktop Entry Specification 1.5, "The Exec key"; the string's own escapes come on top of its quotes. */
function quoted(argument: string): string {
  const inner = argument.replace(/["`$\\]/g, '\\$&').replaceAll('%', '%%');
  return `"${inner.replaceAll('\\', '\\\\')}"`;
}
