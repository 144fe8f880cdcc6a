/** Looks features up in QEMU's description of itself (query-qmp-schema; docs/devel/qapi-code-gen.rst). */
import { z } from 'zod';

// Alternates have members without a name.
const member = z.object({ name: z.string().optional(), type: z.string().optional() });

export const qmpSchema = z.array(
  z.object({
    name: z.string(),
    'meta-type': z.string(),
    'arg-type': z.string().optional(),
    'element-type': z.string().optional(),
    members: z.array(member).optional(),
    variants: z.array(z.object({ case: z.string(), type: z.string() })).optional(),
  }),
);
export type QmpSchema = z.infer<typeof qmpSchema>;

interface Feature {
  readonly name: string;
  /** Completes "... is needed". */
  readonly purpose: string;
  readonly present: (schema: QmpSchema) => boolean;
}

const FEATURES: readonly Feature[] = [
  command('blockdev-mirror', 'to bring disk changes along in a handoff'),
  command('blockdev-backup', 'to keep the disk changes of a guest in memory'),
  command('blockdev-reopen', 'to raise the limit of a disk overlay'),
  command('block-export-add', 'to receive disk changes in a handoff'),
  command('yank', 'to free a guest from a connection that hangs'),
  migrationCapability('return-path', 'to hold a handoff until the guest may change place'),
  migrationCapability('switchover-ack', 'to hold a handoff until the guest may change place'),
  migrationCapability('pause-before-switchover', 'to finish the disk in the switchover'),
  {
    name: 'netdev-stream-reconnect',
    purpose: 'for the guest’s network to outlive the switch',
    present: (schema) => netdevMembers(schema, 'stream').includes('reconnect-ms'),
  },
];

/** Those features Sojourn cannot do without that this QEMU does not have. */
export function missingFeatures(schema: QmpSchema): readonly Feature[] {
  return FEATURES.filter((feature) => !feature.present(schema));
}

export function hasCommand(schema: QmpSchema, name: string): boolean {
  return schema.some((entry) => entry['meta-type'] === 'command' && entry.name === name);
}

function command(name: string, purpose: string): Feature {
  return { name, purpose, present: (schema) => hasCommand(schema, name) };
}

function migrationCapability(name: string, purpose: string): Feature {
  return {
    name,
    purpose,
    present: (schema) => {
      const argument = find(schema, find(schema, 'migrate-set-capabilities')?.['arg-type']);
      const list = find(schema, argument?.members?.find((m) => m.name === 'capabilities')?.type);
      const pair = find(schema, list?.['element-type']);
      const names = find(schema, pair?.members?.find((m) => m.name === 'capability')?.type);
      return (names?.members ?? []).some((value) => value.name === name);
    },
  };
}

function netdevMembers(schema: QmpSchema, kind: string): readonly (string | undefined)[] {
  const argument = find(schema, find(schema, 'netdev_add')?.['arg-type']);
  const type = argument?.variants?.find((variant) => variant.case === kind)?.type;
  return (find(schema, type)?.members ?? []).map(({ name }) => name);
}

function find(schema: QmpSchema, name: string | undefined): QmpSchema[number] | undefined {
  return name === undefined ? undefined : schema.find((entry) => entry.name === name);
}
