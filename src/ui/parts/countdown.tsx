import { useEffect, useState } from 'preact/hooks';
import { useFormats } from '../state/context.ts';

const TICK_MS = 1_000;

/** What is left of `ms`, counted down here from when `start` changed: no clock of another machine is in it. */
export function Countdown({
  ms,
  start,
  text,
}: {
  readonly ms: number;
  /** Another value begins the countdown anew. */
  readonly start: string;
  readonly text: (time: string) => string;
}) {
  const { duration } = useFormats();
  const [left, setLeft] = useState(ms);
  useEffect(() => {
    const end = performance.now() + ms;
    setLeft(ms);
    const timer = setInterval(() => setLeft(Math.max(0, end - performance.now())), TICK_MS);
    return () => clearInterval(timer);
    // A later snapshot of the same countdown does not begin it anew.
  }, [start]);
  // Read out by screen readers once, by what is around it, and not every second.
  return (
    <p class="muted" role="timer" aria-live="off">
      {text(duration(Math.ceil(left / TICK_MS) * TICK_MS))}
    </p>
  );
}
