export { describeNeed, describeOutlook } from './describe.ts';
export { type Evidence, Forecaster, isTime, type Outlook } from './forecast.ts';
export { type LossMemory, lossMemorySchema } from './losses.ts';
export {
  type ForecastParameters,
  forecastParameters,
  forecastParametersSchema,
} from './parameters.ts';
