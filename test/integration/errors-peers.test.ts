/** What people are told about invites, pairing, and places that are not who they should be. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PlaceView } from '../../src/api/index.ts';
import { ErrorsLab, type LabAgent } from './errors-lab.ts';

let lab: ErrorsLab;
let device: LabAgent;
let site: LabAgent;

beforeAll(async () => {
  lab = await ErrorsLab.create();
  device = lab.device();
  site = lab.site();
  await Promise.all([device.start(), site.start()]);
});
afterAll(async () => lab?.[Symbol.asyncDispose]());

const places = async (agent: LabAgent) =>
  (await agent.ok<PlaceView[]>('places')).filter(({ self }) => !self).map(({ name }) => name);
const newInvite = async () => (await site.ok<{ invite: string }>('invite')).invite;

/** The same invite with something else in it. */
function altered(invite: string, change: Record<string, unknown>): string {
  const json = Buffer.from(invite.slice('sojourn1.'.length), 'base64url').toString();
  const text = JSON.stringify({ ...JSON.parse(json), ...change });
  return `sojourn1.${Buffer.from(text).toString('base64url')}`;
}

test.each([
  ['nonsense', () => 'hello'],
  ['with its end missing', (invite: string) => invite.slice(0, -20)],
  ['with control characters', (invite: string) => `${invite.slice(0, 40)}\u001b[2J`],
  ['of another form', (invite: string) => altered(invite, { hosts: ['a b'] })],
])('an invite that is %s', async (_name, change) => {
  await device.fails(['pair', change(await newInvite())], {
    exit: 2,
    code: 'invite-malformed',
    line: /This is not an invite, or a part of it is missing\. Paste the whole line that "sojourn invite" printed at the site; it begins with sojourn1\.$/m,
  });
});

test('an invite that was never made, or is used at the site itself', async () => {
  const invite = await newInvite();
  await device.fails(['pair', altered(invite, { secret: 'A'.repeat(22) })], {
    exit: 7,
    code: 'invite-unknown',
    line: /The site does not know this invite\. Run "sojourn invite" at the site for a new one/,
  });
  await site.fails(['pair', invite], {
    exit: 2,
    code: 'invite-own',
    line: /This invite is of this very place\. Use it on the device/,
  });
});

test('an invite that cannot be made', async () => {
  const remedy = 'Correct it and try again; every command has --help';
  await site.fails(['invite', '--ttl', '1s'], {
    exit: 2,
    code: 'input-invalid',
    line: new RegExp(`An invite is valid for 10 s to 7 days\\. ${remedy}`),
  });
  await site.fails(['invite', '--host', 'http://cloud/'], {
    exit: 2,
    code: 'input-invalid',
    line: /A host is given as one name or address, without blanks and without a port/,
  });
});

test('an invite that has expired', async () => {
  const invite = await newInvite();
  using database = new DatabaseSync(join(site.state, 'state.db'));
  database.exec('UPDATE invites SET expires_at = 1');
  await device.fails(['pair', invite], {
    exit: 7,
    code: 'invite-expired',
    line: /This invite has expired\. Run "sojourn invite" at the site for a new one/,
  });
});

test('an invite to where nobody listens, and to where somebody else does', async () => {
  const invite = await newInvite();
  await device.fails(['pair', altered(invite, { port: 9 })], {
    exit: 6,
    code: 'peer-unreachable',
    line: /cloud cannot be reached \(127\.0\.0\.1 port 9: nothing listens there\)\. Check the network here, and that the agent on cloud is running/,
  });
  await device.fails(['pair', altered(invite, { id: 'ab'.repeat(32) })], {
    exit: 7,
    code: 'peer-not-pinned',
    line: /What answers there is not the cloud that made the invite: 127\.0\.0\.1 port 7420 has the identity [0-9a-f]{16}, not the pinned (ab){8}\. Run "sojourn invite" at cloud for a new one/,
  });
  expect([await places(device), await places(site)]).toEqual([[], []]);
});

test('an invite that is used twice', async () => {
  const invite = await newInvite();
  await device.ok('pair', invite);
  expect([await places(device), await places(site)]).toEqual([['cloud'], ['laptop']]);
  const second = lab.device('tablet');
  await second.start();
  await second.fails(['pair', invite], {
    exit: 7,
    code: 'invite-used',
    line: /This invite has been used before, and an invite works once\. Run "sojourn invite" at the site for a new one/,
  });
  expect([await places(second), await places(site)]).toEqual([[], ['laptop']]);
  await second.ok('stop', '--guests');
});

test('a place that has ended the pairing; pairing again heals it', async () => {
  await device.ok('image', 'import', await lab.tinyImage());
  await device.ok('guest', 'create', 'desk', '--image', 'tiny', '--overlay-limit', '8M');
  await device.ok('guest', 'start', 'desk');
  await site.ok('places', 'forget', 'laptop');
  await device.fails(['handoff', 'desk', '--to', 'cloud'], {
    exit: 7,
    code: 'not-paired',
    line: /cloud \([0-9a-f]{16}\) is not paired with this place, or no longer\. Run "sojourn invite" there and "sojourn pair" here/,
  });
  expect(await device.stateOf('desk')).toBe('running');
  await site.fails(['places', 'forget', 'laptop'], {
    exit: 3,
    code: 'place-unknown',
    line: /There is no place "laptop" \(known here: cloud\)/,
  });
  await site.fails(['places', 'forget', 'cloud'], {
    exit: 2,
    code: 'place-self',
    line: /A place cannot forget itself\. Name another place; see "sojourn places"/,
  });
  await device.ok('pair', await newInvite());
  expect(await device.ok('places')).toContainEqual(
    expect.objectContaining({ name: 'cloud', connected: true }),
  );
});

test('a place with another identity than the pinned one', async () => {
  await site.end();
  const impostor = lab.site('impostor');
  await impostor.start();
  await device.fails(['handoff', 'desk', '--to', 'cloud'], {
    exit: 7,
    code: 'peer-not-pinned',
    line: /Something else answers in the place of cloud: 127\.0\.0\.1 port 7420 has the identity [0-9a-f]{16}, not the pinned [0-9a-f]{16}\. Do not go on unless cloud was set up anew; if it was, run "sojourn places forget cloud" and pair with it again/,
  });
  expect(await device.stateOf('desk')).toBe('running');
  expect(await places(impostor)).toEqual([]);
});
