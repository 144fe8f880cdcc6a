/** The figures of the forecast. They lie in `parameters.json`, fitted by `npm run bench -- link --fit`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const byBand = z.strictObject({ '2.4': z.number(), '5': z.number(), '6': z.number() });
const positive = z.number().positive();

export const forecastParametersSchema = z.strictObject({
  /** Level at which a link of the band carries next to nothing more, dBm. */
  floorDbm: byBand,
  /** One reading this low is a loss about to happen, however steady the rest. */
  fadeDbm: byBand,
  /** How many deviations of the level the pessimistic course falls. */
  pessimism: z.number().min(0),
  /** Part of the present slope that goes on. */
  slopeShare: z.number().min(0),
  /** Time constant of level and slope. */
  levelSeconds: positive,
  /** Before this much time nothing can be ended in order: the switchover and two readings. */
  reserveSeconds: positive,
  /** Above the floor plus this the capacity no longer depends on the level. */
  kneeDb: positive,
  /** Handoff begins at this multiple of the residue. */
  margin: positive,
  /** Added to levels at which links of the same access point were lost; shrinks with their number. */
  learnedMarginDb: z.number().min(0),
  /** Losses of an access point are compared only when the level came down by this much within their span. */
  descentDb: positive,
  /** Nothing came in for this long although it did before. */
  stallSeconds: positive,
});

export type ForecastParameters = Readonly<z.infer<typeof forecastParametersSchema>>;

export const forecastParameters: ForecastParameters = forecastParametersSchema.parse(
  JSON.parse(readFileSync(join(import.meta.dirname, 'parameters.json'), 'utf8')),
);
