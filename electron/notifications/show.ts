/** Desktop notifications; a click opens the window where the thing is. */
import { Notification } from 'electron';
import type { Route } from '../../src/ui/index.ts';
import { sentenceLabel } from '../tray/index.ts';
import type { Message } from './decide.ts';

export function showNotification(message: Message, open: (route: Route) => void): void {
  if (!Notification.isSupported()) return;
  const notification = new Notification({
    title: sentenceLabel(message.title),
    body: message.body.split('\n').map(sentenceLabel).join('\n'),
    // Critical ones stay until they are dismissed, where the desktop has such a thing.
    urgency: message.severity === 'error' ? 'critical' : 'normal',
    silent: message.severity === 'info',
  });
  notification.on('click', () => open(message.route));
  notification.show();
}
