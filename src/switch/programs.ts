/** Programs of flows; flows that do the same share one. */
import type { Instruction } from '../openflow/index.ts';
import type { FlowProgram, FlowSpec } from './flow.ts';
import { compileInstructions, type Surroundings } from './instructions.ts';

/** Programs that are remembered; with more different ones all are forgotten. */
const MAX_SHARED = 4096;
/** Longer instructions are rarely the same; their text would cost more than it saves. */
const MAX_TEXT = 512;

export class Programs {
  readonly #around: Surroundings;
  readonly #shared = new Map<string, FlowProgram>();

  constructor(around: Surroundings) {
    this.#around = around;
  }

  /** Groups or meters have changed, which programs point to. */
  forget(): void {
    this.#shared.clear();
  }

  /** @throws OpenFlowError OFPET_BAD_ACTION, OFPET_BAD_INSTRUCTION, OFPET_METER_MOD_FAILED. */
  compile(spec: Pick<FlowSpec, 'table' | 'match' | 'instructions'>): FlowProgram {
    const program = compileInstructions(spec, this.#around);
    const text = textOf(spec.instructions);
    if (text.length > MAX_TEXT) return program;
    const known = this.#shared.get(text);
    if (known !== undefined) return known;
    if (this.#shared.size >= MAX_SHARED) this.#shared.clear();
    this.#shared.set(text, program);
    return program;
  }
}

function textOf(instructions: readonly Instruction[]): string {
  return JSON.stringify(instructions, (_key, value) =>
    typeof value === 'bigint' ? `${value}n` : value,
  );
}
