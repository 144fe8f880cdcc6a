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
  const { samples } = app.link.value;
  const marks = app.handoffs.value.map(({ startedAtMs }) => startedAtMs);
  const values = (name: keyof LinkSample) => samples.map((sample) => sample[name]);
  const dbm = (value: number) => `${Math.round(value)} dBm`;
  const shown = { samples, marks };
  return (
    <>
      <h1>{texts.title}</h1>
      <p class="muted">{texts.help}</p>
      {samples.length === 0 ? (
        <Empty icon="link" title={texts.unknownYet} help="" />
      ) : (
        <>
          <Panel
            {...shown}
            title={texts.signal}
            format={dbm}
            lines={[
              { label: texts.signal, values: values('signalDbm') },
              { label: texts.forecast, values: values('forecastDbm'), dashed: true },
            ]}
          />
          <Panel
            {...shown}
            title={texts.rate}
            format={bitRate}
            atLeast={LEAST_RATE}
            lines={[{ label: texts.rate, values: values('rateBitsPerSecond') }]}
          />
          <Panel
            {...shown}
            title={texts.rtt}
            format={duration}
            atLeast={LEAST_RTT_MS}
            lines={[{ label: texts.rtt, values: values('rttMs') }]}
          />
          <Panel
            {...shown}
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

function Panel({
  title,
  lines,
  samples,
  marks,
  format,
  atLeast,
}: {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly samples: readonly LinkSample[];
  readonly marks: readonly number[];
  readonly format: (value: number) => string;
  readonly atLeast?: number;
}) {
  const { link: texts } = useMessages();
  const { clock } = useFormats();
  const known = lines.flatMap(({ label, values }) => {
    const last = values.findLast((value) => value !== null);
    return last == null ? [] : [{ label, text: format(last) }];
  });
  const first = samples[0]?.atMs ?? 0;
  const marked = marks.filter((mark) => mark >= first);
  const latest = known.map(({ label, text }) => texts.chart(label, text));
  return (
    <section class="card panel">
      <div class="row spread">
        <h2>{title}</h2>
        <span class="number">{known.map(({ text }) => text).join(' · ')}</span>
      </div>
      {known.length === 0 ? (
        <p class="muted">{texts.unknown}</p>
      ) : (
        <Chart
          times={samples.map(({ atMs }) => atMs)}
          {...{ lines, marks: marked, format, atLeast }}
          formatTime={clock}
          summary={[...latest, texts.handoffCount(marked.length)].join('. ')}
        />
      )}
    </section>
  );
}
