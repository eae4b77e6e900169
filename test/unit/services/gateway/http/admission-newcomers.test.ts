/** Who is let in, in which order, and what a stranger costs. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  Admission,
  type Admitted,
  type IncomingRequest,
  Refusal,
} from '../../../../../services/gateway/http/admission.js';
import { ONION_BLOCK } from '../../../../../services/gateway/limits/addresses.js';
import { Nonces } from '../../../../../services/gateway/limits/nonces.js';
import { Subscribers } from '../../../../../services/gateway/limits/subscribers.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import { latin1 } from '../../../../../shared/encoding/bytes.js';
import { encodeBatch } from '../../../../../shared/relay/batch.js';
import { PATHS } from '../../../../../shared/relay/constants.js';
import { subscriberTag } from '../../../../../shared/relay/identity.js';
import { signRequest } from '../../../../../shared/relay/signature.js';
import { seconds, VirtualClock } from '../../../../../shared/run/clock.js';
import { addressesFor, rosterFor } from '../../../../support/admission.js';

const native = await loadCrypto();
const HERE = '192.0.2.1';
const THERE = '192.0.2.2';

function setUp(changes: { newcomerRate?: number; perAddress?: number; noncesSince?: number } = {}) {
  const { newcomerRate = 99, perAddress = 99, noncesSince = 0 } = changes;
  const clock = new VirtualClock();
  let verified = 0;
  const crypto = {
    ...native,
    ed25519Verify: (...args: Parameters<typeof native.ed25519Verify>) => {
      verified++;
      return native.ed25519Verify(...args);
    },
  };
  const addresses = addressesFor({ clock, newcomersPerAddress: perAddress, newcomers: newcomerRate });
  const subscribers = new Subscribers({
    clock,
    capacity: 9,
    rate: 99,
    newcomerRate,
    requests: 99,
    newcomerRequests: 99,
    nonces: 999,
  });
  const admission = new Admission({
    crypto,
    clock,
    addresses,
    subscribers,
    nonces: new Nonces(9999),
    fingerprint: 'g',
    roster: rosterFor(crypto),
    noncesSince,
  });
  const body = encodeBatch([]);
  const request = (
    identity = native.ed25519KeyPair(),
    block = HERE,
    changed: Record<string, string> = {},
  ): IncomingRequest => {
    const signing = { authority: 'host', path: PATHS.push, body, gateway: 'g' };
    const headers: Record<string, string> = {
      ...signRequest(native, identity, signing, seconds(clock)),
      host: 'host',
      'content-length': String(body.length),
      ...changed,
    };
    const header = (name: string) => headers[name];
    return { method: 'POST', path: PATHS.push, query: '', header, body: async () => body, block };
  };
  const ask = async (asked: IncomingRequest): Promise<string> => {
    const end: Admitted | Refusal = await admission.admit(asked).catch((error: Refusal) => error);
    if (end instanceof Refusal) return end.code;
    end.leave();
    return 'ok';
  };
  const establish = (identity: { publicKey: Uint8Array }) =>
    subscribers.establish(latin1(subscriberTag(native, identity.publicKey)));
  return { clock, ask, request, establish, verified: () => verified };
}

/** How often each word came. */
async function times(n: number, ask: () => Promise<string>): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < n; i++) {
    const word = await ask();
    counts[word] = (counts[word] ?? 0) + 1;
  }
  return counts;
}

describe('newcomers', () => {
  test('of one address block have their part, before a signature is verified; others go on', async () => {
    const { ask, request, establish, verified } = setUp({ perAddress: 2 });
    assert.deepEqual(await times(50, () => ask(request())), { ok: 20, rate: 30 });
    assert.equal(verified(), 20);
    assert.equal(await ask(request(undefined, THERE)), 'ok');
    const known = native.ed25519KeyPair();
    establish(known);
    assert.equal(await ask(request(known)), 'ok', 'one with a device is no newcomer');
  });

  test('of very many address blocks end at what all newcomers have, and cost no verification beyond', async () => {
    const { ask, request, establish, verified } = setUp({ newcomerRate: 3 });
    let n = 0;
    const anywhere = () => ask(request(undefined, `198.51.100.${n++}`));
    assert.deepEqual(await times(100, anywhere), { ok: 30, rate: 70 });
    assert.equal(verified(), 30);
    const known = native.ed25519KeyPair();
    establish(known);
    assert.equal(await ask(request(known)), 'ok');
  });
});

describe('failed checks', () => {
  const garbage = { signature: `relay=:${'A'.repeat(86)}==:` };

  test('are looked at only so often for one block, whoever they name', async () => {
    const { ask, request, establish, verified } = setUp();
    const known = native.ed25519KeyPair();
    establish(known);
    const counts = await times(30, () => ask(request(known, HERE, garbage)));
    assert.deepEqual(counts, { 'bad-signature': 9, rate: 21 });
    assert.equal(verified(), 9);
    assert.equal(await ask(request(known, THERE)), 'ok');
  });

  test('in the pool of Tor stop strangers; who has a proven device goes on', async () => {
    const { ask, request, establish } = setUp();
    const known = native.ed25519KeyPair();
    establish(known);
    await times(30, () => ask(request(undefined, ONION_BLOCK, garbage)));
    assert.equal(await ask(request(undefined, ONION_BLOCK)), 'rate');
    assert.equal(await ask(request(known, ONION_BLOCK)), 'ok');
    await times(30, () => ask(request(known, ONION_BLOCK, garbage)));
    assert.equal(await ask(request(known, ONION_BLOCK)), 'rate', 'in its name no more than in others');
  });

  test('a wrong clock is none', async () => {
    const { ask, request, clock } = setUp();
    const late = request();
    await clock.advance(61_000);
    assert.deepEqual(await times(50, () => ask(late)), { clock: 50 });
    assert.equal(await ask(request()), 'ok');
  });
});

test('a request made before this process remembers nonces is refused, and a new one taken', async () => {
  const start = seconds(new VirtualClock()) + 5;
  const { ask, request, clock } = setUp({ noncesSince: start });
  const before = request();
  await clock.advance(5_000);
  assert.equal(await ask(before), 'clock');
  assert.equal(await ask(request()), 'ok');
});

test('a clock that was ahead when the process began refuses requests for a minute, not until it is there again', async () => {
  const start = seconds(new VirtualClock());
  const { ask, request, clock } = setUp({ noncesSince: start });
  clock.jump(-86_400_000);
  assert.equal(await ask(request()), 'clock');
  await clock.advance(62_000);
  assert.equal(await ask(request()), 'ok');
});
