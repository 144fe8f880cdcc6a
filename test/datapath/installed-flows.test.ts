import { describe, expect, it } from 'vitest';
import { InstalledFlows } from '../../src/datapath/installed-flows.ts';
import { type FlowSpec, Switch } from '../../src/switch/index.ts';

const flow: FlowSpec = { table: 0, priority: 1, match: { in_port: 1n }, instructions: [] };

describe('installed flows', () => {
  it('that another group has replaced and removed are installed again', () => {
    const owner = new Switch(() => {});
    const flows = new InstalledFlows(owner);
    flows.replace('one', [flow]);
    flows.replace('two', [flow]);
    flows.replace('two', []);
    expect([...(owner.tables[0] ?? [])]).toHaveLength(0);
    flows.replace('one', [flow]);
    expect([...(owner.tables[0] ?? [])]).toHaveLength(1);
  });

  it('that are the same and still there stay, with their counters', () => {
    const owner = new Switch(() => {});
    const flows = new InstalledFlows(owner);
    flows.replace('one', [flow]);
    const [before] = owner.tables[0] ?? [];
    flows.replace('one', [{ ...flow }]);
    expect([...(owner.tables[0] ?? [])]).toEqual([before]);
    expect([...(owner.tables[0] ?? [])][0]).toBe(before);
  });
});
