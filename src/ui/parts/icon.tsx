/** Line icons of our own, on a 24 by 24 grid. They say nothing that the text beside them does not say. */
const paths = {
  dashboard: 'M4 5h16v11H4zM9 20h6M12 16v4',
  handoffs: 'M4 8h13m-4-4 4 4-4 4M20 16H7m4-4-4 4 4 4',
  places:
    'M12 21s7-6.2 7-11a7 7 0 0 0-14 0c0 4.8 7 11 7 11zM12 12.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z',
  link: 'M3 9a14 14 0 0 1 18 0M6 13a9.5 9.5 0 0 1 12 0M9 16.8a5 5 0 0 1 6 0M12 20h.01',
  rules: 'M5 6h9M18 6h1M5 12h1M10 12h9M5 18h7M16 18h3M16 4v4M8 10v4M14 16v4',
  problems: 'M12 4 2.8 20h18.4zM12 10v4.5M12 17.2h.01',
  settings:
    'M12 15.2a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4zM12 3v2.5M12 18.5V21M3 12h2.5M18.5 12H21M5.6 5.6l1.8 1.8M16.6 16.6l1.8 1.8M18.4 5.6l-1.8 1.8M7.4 16.6l-1.8 1.8',
  setup: 'M5 12.5 10 17.5 19.5 7',
  safe: 'M12 3 5 5.8V11c0 4.6 2.9 8 7 10 4.1-2 7-5.4 7-10V5.8zM8.8 11.8l2.3 2.3 4.2-4.4',
  busy: 'M20 12a8 8 0 1 1-2.6-5.9M20 4v4.5h-4.5',
  risk: 'M12 3 5 5.8V11c0 4.6 2.9 8 7 10 4.1-2 7-5.4 7-10V5.8zM12 8v4.5M12 15.8h.01',
  away: 'M7 18a4 4 0 0 1-.5-8A6 6 0 0 1 18 9.6 4.2 4.2 0 0 1 17.5 18z',
  problem: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7.5v5.5M12 16.3h.01',
  idle: 'M12 3.5v8M7 6.5a8 8 0 1 0 10 0',
  info: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 11v5.5M12 7.7h.01',
  ok: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM8.2 12.2l2.7 2.7 5-5.4',
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  );
}
