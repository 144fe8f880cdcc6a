/** Looks at everything Sojourn needs from this machine; works with and without a running agent. */
import { join } from 'node:path';
import { apiSocketPath, programVersion } from '../../api/index.ts';
import { checkAgent, judgePlaces } from './agent.ts';
import type { Check } from './check.ts';
import { checkClock, checkMemory, checkOverlayMemory, checkSession, judgeNode } from './machine.ts';
import { checkIp, checkTun } from './network.ts';
import { checkKvm, checkQemu } from './qemu.ts';
import { checkState } from './state.ts';

export type { Check, CheckStatus } from './check.ts';

export interface DoctorOptions {
  readonly stateDirectory: string;
  readonly env: NodeJS.ProcessEnv;
  readonly nowMs: number;
  /** Boot a kernel under KVM unless a verdict is remembered; takes up to 10 s. */
  readonly mayBoot: boolean;
  /** Prove KVM again, whatever is remembered. */
  readonly again: boolean;
}

/** In the order in which a person should look at them. Never rejects for what it finds. */
export async function examine(options: DoctorOptions): Promise<Check[]> {
  const { stateDirectory, env } = options;
  const [agent, qemu] = await Promise.all([
    checkAgent(apiSocketPath(stateDirectory), programVersion()),
    checkQemu(),
  ]);
  const profile = agent.status?.agent.profile;
  const images = join(stateDirectory, 'images');
  const kvm = qemu.qemu === undefined ? [] : [checkKvm(qemu.qemu, { ...options, images })];
  return Promise.all([
    judgeNode(process.versions.node),
    qemu.check,
    ...kvm,
    checkMemory(),
    checkOverlayMemory(env),
    checkState(stateDirectory),
    checkSession(),
    checkClock(options.nowMs),
    checkTun(profile),
    checkIp(profile),
    agent.check,
    ...judgePlaces(agent.status?.places ?? []),
  ]);
}
