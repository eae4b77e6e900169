import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GatewayFacts } from '../../../../../../services/subscriber/outbound/gateway-link.js';
import { checkGateway } from '../../../../../../services/subscriber/probe/doctor/gateway.js';
import { Hops } from '../../../../../../services/subscriber/probe/doctor/hops.js';
import { VirtualClock } from '../../../../../../shared/run/clock.js';
import type { Finding } from '../../../../../../shared/run/doctor.js';
import { FakeLink } from '../../../../../support/fake-link.js';

const TOPIC = 'org.example.messenger';
const APPS = [{ name: 'phones', topic: TOPIC, profile: 'simplex' }];
const FACTS: GatewayFacts = {
  identityKey: new Uint8Array(32),
  sealing: { keyId: new Uint8Array(4), publicKey: new Uint8Array(32) },
  apps: new Map([[TOPIC, ['production']]]),
  profiles: new Map([[TOPIC, ['simplex']]]),
  clockOffset: 0,
};

type Changes = Partial<Pick<FakeLink, 'askStatement' | 'hello'>> & { readonly facts?: Partial<GatewayFacts> };

/** What is not in order, as name and state, and the fixes. */
async function check({ facts, ...changes }: Changes = {}) {
  const clock = new VirtualClock();
  const findings: Finding[] = [];
  const gone = new AbortController().signal;
  const hops = new Hops({ clock, say: (finding) => void findings.push(finding), gone, limitMs: 60_000 });
  const link = Object.assign(new FakeLink(), { facts: { ...FACTS, ...facts }, ...changes });
  const done = checkGateway(hops, 'main', link, APPS);
  await clock.advance(30_000);
  await done;
  const wrong = findings.filter(({ state }) => state !== 'ok');
  return { wrong: wrong.map(({ name, state }) => [name, state]), fix: wrong[0]?.fix ?? '', findings };
}

const never = () => new Promise<never>(() => {});

test('a gateway in order', async () => {
  const { wrong, findings } = await check();
  assert.deepEqual([wrong, findings.length], [[], 4]);
});

test('a statement that does not come, or is not accepted, each with its fix', async () => {
  const cases = [
    ['unreachable', /firewall/],
    ['wrong-fingerprint', /another gateway/],
    ['expired', /clock/],
    ['wrong-tls-key', /ca_file/],
  ] as const;
  for (const [judgement, expected] of cases) {
    const { wrong, fix, findings } = await check({ askStatement: async () => judgement as never });
    assert.deepEqual([wrong, findings.length], [[['gateway main: statement', 'failed']], 1]);
    assert.match(fix, expected);
  }
  assert.match((await check({ askStatement: never })).fix, /firewall/);
});

test('a hello that is refused, or gets no answer', async () => {
  const cases = [
    [{ kind: 'refused', code: 'not-listed' }, /operator/],
    [{ kind: 'refused', code: 'clock' }, /clock/],
    [{ kind: 'unavailable' }, /doctor/],
    [{ kind: 'later', after: 60 }, /wait/],
    [{ kind: 'no-answer' }, /proxies/],
  ] as const;
  for (const [result, expected] of cases) {
    const { wrong, fix } = await check({ hello: async () => result as never });
    assert.deepEqual(wrong, [['gateway main: signed hello', 'failed']]);
    assert.match(fix, expected);
  }
  assert.match((await check({ hello: never })).fix, /proxies/);
});

test('clocks apart are a warning; an app that is not served fails', async () => {
  const apart = await check({ facts: { clockOffset: -3_600 } });
  assert.deepEqual(apart.wrong, [['gateway main: clocks', 'warning']]);
  const other = await check({ facts: { profiles: new Map([[TOPIC, ['porchlight']]]) } });
  assert.deepEqual(other.wrong, [['gateway main: app of phones', 'failed']]);
  assert.match(other.fix, /porchlight/);
  const none = await check({ facts: { profiles: new Map() } });
  assert.match(none.fix, /topic/);
});
