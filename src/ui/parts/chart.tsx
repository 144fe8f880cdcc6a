import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

export interface Line {
  readonly label: string;
  /** A gap where null. */
  readonly values: readonly (number | null)[];
  readonly dashed?: boolean;
}

export interface ChartProps {
  /** Milliseconds since the Unix epoch. */
  readonly times: readonly number[];
  readonly lines: readonly Line[];
  /** Moments to be marked. */
  readonly marks: readonly number[];
  readonly format: (value: number) => string;
  /** Writes a moment in milliseconds since the Unix epoch. */
  readonly formatTime: (atMs: number) => string;
  /** Amounts begin at zero, and their axis reaches at least this far; a signal has no such thing. */
  readonly atLeast: number | undefined;
  /** Says what the picture says. */
  readonly summary: string;
}

const HEIGHT = 120;
/** A span below this says little, s. */
const MIN_SPAN_S = 60;
/** Between two times on the axis, CSS pixels. */
const TIME_SPACE = 110;
/** Free room above what is shown. */
const HEADROOM = 1.2;
const AXIS_WIDTH = 76;

export function Chart(props: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const count = props.lines.length;

  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const made = new uPlot(
      chartOptions(element, latest, count),
      alignedData(latest.current),
      element,
    );
    plot.current = made;
    const resized = new ResizeObserver(() =>
      made.setSize({ width: element.clientWidth, height: HEIGHT }),
    );
    resized.observe(element);
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const redraw = () => made.redraw();
    dark.addEventListener('change', redraw);
    return () => {
      dark.removeEventListener('change', redraw);
      resized.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [count]);

  useEffect(() => {
    plot.current?.setData(alignedData(props));
  });

  return <div class="chart" ref={box} role="img" aria-label={props.summary} />;
}

function alignedData({ times, lines }: ChartProps): uPlot.AlignedData {
  return [times.map((at) => at / 1000), ...lines.map(({ values }) => [...values])];
}

/** Colours are those of the style sheet, read whenever something is drawn, so that a change of theme shows. */
function chartOptions(
  element: HTMLElement,
  latest: { readonly current: ChartProps },
  count: number,
): uPlot.Options {
  const colour = (name: string) => () => getComputedStyle(element).getPropertyValue(name);
  const { atLeast } = latest.current;
  const axis = {
    stroke: colour('--chart-text'),
    grid: { stroke: colour('--chart-grid'), width: 1 },
    ticks: { show: false },
    font: '11px system-ui',
  };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { time: true, range: (_plot, min, max) => [Math.min(min, max - MIN_SPAN_S), max] },
      y:
        atLeast === undefined
          ? {}
          : { range: (_plot, _min, max) => [0, Math.max(max * HEADROOM, atLeast)] },
    },
    axes: [
      {
        ...axis,
        size: 26,
        space: TIME_SPACE,
        values: (_plot, splits) => splits.map((at) => latest.current.formatTime(at * 1000)),
      },
      {
        ...axis,
        size: AXIS_WIDTH,
        splits: (_plot, _axis, min, max) => [min, (min + max) / 2, max],
        values: (_plot, splits) => splits.map((value) => latest.current.format(value)),
      },
    ],
    series: [
      {},
      ...Array.from({ length: count }, (_, at) => ({
        stroke: colour(at === 0 ? '--chart-line' : '--chart-second'),
        width: 2,
        points: { show: false },
        ...(latest.current.lines[at]?.dashed === true ? { dash: [5, 4] } : {}),
      })),
    ],
    hooks: { draw: [(plot) => drawMarks(plot, latest.current.marks, colour('--chart-mark')())] },
  };
}

function drawMarks(plot: uPlot, marks: readonly number[], colour: string): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.lineWidth = 2;
  ctx.setLineDash([2, 3]);
  for (const mark of marks) {
    const x = plot.valToPos(mark / 1000, 'x', true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}
