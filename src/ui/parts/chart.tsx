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
  /** What the axis of values shows at least. */
  readonly axis: readonly [from: number, to: number];
  /** Says what the picture says. */
  readonly summary: string;
}

const HEIGHT = 120;
/** A span below this says little: what there is then grows from the right, s. */
export const MIN_SPAN_S = 60;
/** Between two times on the axis, CSS pixels. */
const TIME_SPACE = 110;
/** Free room above what is shown. */
const HEADROOM = 1.1;
/** So few moments are dots as well: one alone makes no line. */
const FEW = 30;
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
  const [from, to] = latest.current.axis;
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
      // Of our own: of a single moment uPlot makes a day.
      x: { time: true, range: () => timeRange(latest.current.times) },
      y: { range: (_plot, min, max) => [Math.min(min, from), max > to ? topAbove(max, from) : to] },
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
        points: { size: 5, show: isFew },
        ...(latest.current.lines[at]?.dashed === true ? { dash: [5, 4] } : {}),
      })),
    ],
    hooks: { draw: [(plot) => drawMarks(plot, latest.current.marks, colour('--chart-mark')())] },
  };
}

/** In s, as uPlot has them. */
function timeRange(times: readonly number[]): [number, number] {
  const [first = 0, last = 0] = [times[0], times.at(-1)];
  return [Math.min(first / 1000, last / 1000 - MIN_SPAN_S), last / 1000];
}

/** A round number above what is shown, whose half is one, too. */
function topAbove(max: number, from: number): number {
  const height = (max - from) * HEADROOM;
  const unit = 10 ** Math.floor(Math.log10(height));
  const factor = [1, 2, 4, 6, 8].find((each) => each * unit >= height) ?? 10;
  return from + factor * unit;
}

function isFew(_plot: uPlot, _series: number, first: number, last: number): boolean {
  return last - first < FEW;
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
