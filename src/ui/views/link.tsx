import type { LinkSample } from '../model/link.ts';
import { Empty } from '../parts/basics.tsx';
import { Chart, type Line } from '../parts/chart.tsx';
import { useApp, useFormats, useMessages } from '../state/context.ts';

/** What the axes reach at least, bits a second and ms. */
const LEAST_RATE = 10_000;
const LEAST_RTT_MS = 10;

/** How good the link is and will be, with the handoffs that fell into that time. */
export function Link() {
  const app = useApp();
  const { link: texts } = useMessages();
  const { bitRate, duration } = useFormats();
  const { samples, last } = app.link.value;
  const values = (name: keyof LinkSample) => samples.map((sample) => sample[name]);
  const times = values('atMs') as number[];
  return (
    <>
      <h1>{texts.title}</h1>
      <p class="muted">{texts.help}</p>
      {samples.length === 0 ? (
        <Empty icon="link" title={texts.unknownYet} help="" />
      ) : (
        <>
          <SignalPanel times={times} signal={values('signalDbm')} />
          <Panel
            times={times}
            title={texts.rate}
            format={bitRate}
            atLeast={LEAST_RATE}
            lines={[{ label: texts.rate, values: values('rateBitsPerSecond') }]}
            why={last?.sensor == null ? undefined : texts.sensors[last.sensor.state]}
          />
          <Panel
            times={times}
            title={texts.rtt}
            format={duration}
            atLeast={LEAST_RTT_MS}
            lines={[{ label: texts.rtt, values: values('rttMs') }]}
          />
          <Panel
            times={times}
            title={texts.traffic}
            format={bitRate}
            atLeast={LEAST_RATE}
            lines={[{ label: texts.traffic, values: values('trafficBitsPerSecond') }]}
          />
        </>
      )}
    </>
  );
}

/** The signal as it was, and from now on as the agent expects it to be. */
function SignalPanel({
  times,
  signal,
}: {
  readonly times: readonly number[];
  readonly signal: readonly (number | null)[];
}) {
  const app = useApp();
  const { link: texts } = useMessages();
  const { last } = app.link.value;
  const forecast = last?.forecast ?? null;
  const ahead: Line[] =
    forecast === null
      ? []
      : [
          {
            label: texts.forecast,
            values: [...times.slice(1).map(() => null), forecast.fromDbm, forecast.toDbm],
            dashed: true,
          },
        ];
  return (
    <Panel
      times={forecast === null ? times : [...times, forecast.toMs]}
      title={texts.signal}
      format={(value) => `${Math.round(value)} dBm`}
      lines={[
        { label: texts.signal, values: forecast === null ? signal : [...signal, null] },
        ...ahead,
      ]}
      note={forecast?.text}
      why={last?.sensor == null ? undefined : texts.sensors[last.sensor.state]}
      reason={last?.sensor?.reason}
    />
  );
}

interface PanelProps {
  readonly title: string;
  readonly times: readonly number[];
  readonly lines: readonly Line[];
  readonly format: (value: number) => string;
  readonly atLeast?: number;
  /** In the agent's words. */
  readonly note?: string | undefined;
  /** Why nothing is known; the reason in the agent's words. */
  readonly why?: string | undefined;
  readonly reason?: string | undefined;
}

function Panel({ title, times, lines, format, atLeast, note, why, reason }: PanelProps) {
  const app = useApp();
  const { link: texts } = useMessages();
  const { clock } = useFormats();
  const known = lines.flatMap(({ label, values }) => {
    const last = values.findLast((value) => value !== null);
    return last == null ? [] : [{ label, text: format(last) }];
  });
  const marks = app.handoffs.value
    .map(({ startedAtMs }) => startedAtMs)
    .filter((mark) => mark >= (times[0] ?? 0));
  const latest = known.map(({ label, text }) => texts.chart(label, text));
  return (
    <section class="card panel">
      <div class="row spread">
        <h2>{title}</h2>
        <span class="number">{known[0]?.text}</span>
      </div>
      {known.length === 0 ? (
        <p class="muted">
          {why ?? texts.unknown}
          {reason !== undefined && <span lang="en"> ({reason})</span>}
        </p>
      ) : (
        <Chart
          {...{ times, lines, marks, format, atLeast }}
          formatTime={clock}
          summary={[...latest, texts.handoffCount(marks.length)].join('. ')}
        />
      )}
      {note !== undefined && (
        <p class="muted" lang="en">
          {note}
        </p>
      )}
    </section>
  );
}
