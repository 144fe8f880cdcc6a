import type { LinkReading, LinkSample } from '../model/link.ts';
import { Empty } from '../parts/basics.tsx';
import { Chart, type Line, MIN_SPAN_S } from '../parts/chart.tsx';
import { useApp, useFormats, useMessages } from '../state/context.ts';

/** What the axes show at least: bits a second, ms, and dBm from hardly usable to beside the access point. */
const RATES = [0, 10_000] as const;
const RTTS_MS = [0, 10] as const;
const SIGNALS_DBM = [-90, -30] as const;

/** How good the link is and will be, with the handoffs that fell into that time. */
export function Link() {
  const app = useApp();
  const { link: texts } = useMessages();
  const { bitRate, duration } = useFormats();
  const { samples, last } = app.link.value;
  const values = (name: keyof LinkSample) => samples.map((sample) => sample[name]);
  const times = values('atMs') as number[];
  const signal = values('signalDbm');
  const rate = values('rateBitsPerSecond');
  const spanMs = (times.at(-1) ?? 0) - (times[0] ?? 0);
  return (
    <>
      <h1>{texts.title}</h1>
      <p class="muted">{texts.help}</p>
      {samples.length > 0 && spanMs < MIN_SPAN_S * 1000 && (
        <p class="muted">{texts.short(duration(Math.max(Math.round(spanMs / 1000), 1) * 1000))}</p>
      )}
      {samples.length === 0 ? (
        <Empty icon="link" title={texts.unknownYet} help={texts.unknownYetHelp} />
      ) : (
        <>
          {hasValue(signal) || hasValue(rate) ? (
            <>
              <SignalPanel times={times} signal={signal} />
              <Panel
                times={times}
                title={texts.rate}
                format={bitRate}
                axis={RATES}
                lines={[{ label: texts.rate, values: rate }]}
                why={last?.sensor == null ? texts.unknown : texts.sensors[last.sensor.state]}
              />
            </>
          ) : (
            <NoWireless sensor={last?.sensor ?? null} />
          )}
          <Panel
            times={times}
            title={texts.rtt}
            format={duration}
            axis={RTTS_MS}
            lines={[{ label: texts.rtt, values: values('rttMs') }]}
            why={texts.noRtt}
          />
          <Panel
            times={times}
            title={texts.traffic}
            format={bitRate}
            axis={RATES}
            lines={[{ label: texts.traffic, values: values('trafficBitsPerSecond') }]}
            why={last?.tunnelBytes === null ? texts.noDatapath : texts.noTraffic}
          />
        </>
      )}
    </>
  );
}

const hasValue = (values: readonly (number | null)[]) => values.some((value) => value !== null);

/** On a wire, or where nobody can look: what is missing, and what that means for guests that leave by themselves. */
function NoWireless({ sensor }: { readonly sensor: LinkReading['sensor'] }) {
  const { link: texts } = useMessages();
  return (
    <section class="card panel">
      <h2>{texts.signal}</h2>
      <p>
        {sensor === null ? texts.unknown : texts.sensors[sensor.state]}
        {sensor?.reason !== undefined && <span lang="en"> ({sensor.reason})</span>}
      </p>
      <p class="muted">{texts.noSignal}</p>
    </section>
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
      axis={SIGNALS_DBM}
      lines={[
        { label: texts.signal, values: forecast === null ? signal : [...signal, null] },
        ...ahead,
      ]}
      note={forecast?.text}
      why={last?.sensor == null ? texts.unknown : texts.sensors[last.sensor.state]}
    />
  );
}

interface PanelProps {
  readonly title: string;
  readonly times: readonly number[];
  readonly lines: readonly Line[];
  readonly format: (value: number) => string;
  readonly axis: readonly [from: number, to: number];
  /** In the agent's words. */
  readonly note?: string | undefined;
  /** Why nothing is known, where that is so. */
  readonly why: string;
}

function Panel({ title, times, lines, format, axis, note, why }: PanelProps) {
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
        <p class="muted">{why}</p>
      ) : (
        <Chart
          {...{ times, lines, marks, format, axis }}
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
