import { useMemo } from 'preact/hooks';
import { encodeQR } from 'qr';

/** Modules of quiet zone on each side (ISO/IEC 18004, 6.3.8). */
const QUIET = 4;

/** A picture of rectangles: no markup is made from text. Dark on light in every theme, as readers expect. */
export function QrCode({ text, label }: { readonly text: string; readonly label: string }) {
  const { size, path } = useMemo(() => {
    const rows = encodeQR(text, 'raw', { ecc: 'medium', border: QUIET });
    return { size: rows.length, path: rows.flatMap(runs).join('') };
  }, [text]);
  return (
    <svg class="qr" role="img" aria-label={label} viewBox={`0 0 ${size} ${size}`}>
      <rect width={size} height={size} fill="#fff" />
      <path d={path} fill="#000" shape-rendering="crispEdges" />
    </svg>
  );
}

function runs(row: readonly boolean[], y: number): string[] {
  return row.flatMap((dark, x) => (dark ? [`M${x} ${y}h1v1h-1z`] : []));
}
