/** Desktop notifications; a click opens the window where the thing is. */
import { Notification } from 'electron';
import type { Route } from '../../src/ui/index.ts';
import { type Action, sentenceLabel } from '../tray/index.ts';
import type { Message } from './decide.ts';

export function showNotification(
  message: Message,
  open: (route: Route) => void,
  perform?: (action: Action) => void,
): void {
  const { buttons = [] } = message;
  if (!Notification.isSupported()) return;
  const notification = new Notification({
    title: sentenceLabel(message.title),
    body: message.body.split('\n').map(sentenceLabel).join('\n'),
    // Critical ones stay until they are dismissed, where the desktop has such a thing.
    urgency: message.severity === 'error' ? 'critical' : 'normal',
    silent: message.severity === 'info',
    // Only macOS shows them; elsewhere a click opens the window, which asks the same.
    actions: buttons.map(({ label }) => ({ type: 'button', text: sentenceLabel(label) })),
  });
  notification.on('click', () => open(message.route));
  notification.on('action', (_event, index) => {
    const chosen = buttons[index];
    if (chosen !== undefined) perform?.(chosen.action);
  });
  notification.show();
}
