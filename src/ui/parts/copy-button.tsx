import { useState } from 'preact/hooks';
import { useMessages } from '../state/context.ts';
import { Button } from './basics.tsx';

export function CopyButton({ text }: { readonly text: string }) {
  const { common } = useMessages();
  const [copied, setCopied] = useState(false);
  const copy = () => {
    navigator.clipboard.writeText(text).then(
      () => setCopied(true),
      // Without permission the text is there to be selected by hand.
      () => setCopied(false),
    );
  };
  return (
    <span aria-live="polite">
      <Button onClick={copy}>{copied ? common.copied : common.copy}</Button>
    </span>
  );
}
