import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { GateAnswer } from '../../../../../services/gateway/limits/frame-gate.js';
import { Subscribers } from '../../../../../services/gateway/limits/subscribers.js';
import { gatewayMetrics } from '../../../../../services/gateway/metrics.js';
import { Doubts } from '../../../../../services/gateway/push/doubts.js';
import { later } from '../../../../../services/gateway/push/outcomes.js';
import { Pusher, type PusherOptions } from '../../../../../services/gateway/push/pusher.js';
import type { Crypto } from '../../../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import { type Outcome, PAYLOAD_SIZE } from '../../../../../shared/relay/batch.js';
import { VirtualClock } from '../../../../../shared/run/clock.js';
import { silentLog } from '../../../../../shared/run/log.js';
import { Metrics } from '../../../../../shared/run/metrics.js';
import { firstContactsFor } from '../../../../support/admission.js';
import { makeFrame } from '../../../../support/frames.js';

let crypto: Crypto;
before(async () => {
  crypto = await loadCrypto();
});

const signer = { tag: new Uint8Array(16), tagText: 'tag', block: 'loopback' };
const fail = (): never => {
  throw new Error('no descriptors');
};

/** A pusher whose neighbours are those given. */
function pusherWith(parts: Record<string, unknown>): Pusher {
  const clock = new VirtualClock();
  const allowances = { rate: 9, newcomerRate: 9, requests: 9, newcomerRequests: 9, nonces: 9, capacity: 9 };
  const options = {
    crypto,
    clock,
    log: silentLog,
    metrics: new Metrics('test_').add(gatewayMetrics),
    subscribers: new Subscribers({ clock, ...allowances }),
    firstContacts: firstContactsFor({ clock }),
    doubts: new Doubts({ crypto, clock, log: silentLog, subscribers: () => 1 }),
    frameIds: 100,
    ...parts,
  };
  return new Pusher(options as unknown as PusherOptions);
}

describe('a frame whose way fails unexpectedly', () => {
  test('ends in `unavailable`, so that its request ends', () => {
    const got: Outcome[] = [];
    pusherWith({ capabilities: { open: fail } }).push(makeFrame(), signer, (outcome) => got.push(outcome));
    assert.deepEqual(got, [{ kind: 'unavailable', reason: 'provider-down', after: 0 }]);
  });

  test('leaves no token in memory', () => {
    const plaintext = new Uint8Array(211).fill(7);
    const capabilities = { open: () => ({ plaintext, proven: true }) };
    const apps = { find: () => ({}) };
    const pusher = pusherWith({ capabilities, apps, gate: { pass: fail } });
    const got: Outcome[] = [];
    pusher.push(makeFrame(), signer, (outcome) => got.push(outcome));
    assert.equal(got[0]?.kind, 'unavailable');
    assert.deepEqual(plaintext, new Uint8Array(211));
  });
});

describe('a batch of first contacts at a gate that asks other gateways', () => {
  test('goes no further than there are places, and gives back those that it did not use', () => {
    const waiting: ((answer: GateAnswer) => void)[] = [];
    const gate = { pass: (_: unknown, answer: (answer: GateAnswer) => void) => void waiting.push(answer) };
    const capabilities = { open: () => ({ plaintext: new Uint8Array(211), proven: false }) };
    const pusher = pusherWith({ capabilities, apps: { find: () => ({ topic: 'app' }) }, gate });
    const newcomer = { ...signer, block: '192.0.2.1' };
    const push = (): Outcome[] => {
      const got: Outcome[] = [];
      for (let n = 0; n < 15; n++) {
        const id = crypto.randomBytes(16);
        pusher.push(makeFrame({ id, kind: 'verification' }), newcomer, (outcome) => got.push(outcome));
      }
      return got;
    };
    const refused = push();
    assert.deepEqual([waiting.length, refused.length, refused[0]?.reason], [10, 5, 'budget']);
    for (const answer of waiting.splice(0)) answer(later('device', 60));
    assert.deepEqual([push().length, waiting.length], [5, 10], 'none of the places was used');
  });
});

test('of an unproven token that Apple refuses the gate keeps nothing; of a proven one all', async () => {
  const forgotten: boolean[] = [];
  const gate = {
    pass: (_: unknown, answer: (answer: GateAnswer) => void) => answer(() => {}),
    forget: ({ proven, token }: { proven: boolean; token: Uint8Array }) => {
      assert.ok(
        token.every((byte) => byte === 7),
        'not overwritten yet',
      );
      forgotten.push(proven);
    },
  };
  for (const proven of [false, true]) {
    const plaintext = new Uint8Array(211).fill(7);
    const open = { plaintext, token: plaintext.subarray(0, 32), proven, environment: 'test' };
    const pusher = pusherWith({
      capabilities: { open: () => open, draw: () => new Uint8Array(32) },
      apps: { find: () => ({ topic: 'app', profile: { verification: () => new Uint8Array(9) } }) },
      engine: { send: async () => ({ kind: 'dead', reason: 'bad' }) },
      gate,
    });
    const frame = makeFrame({ kind: 'verification', payload: new Uint8Array(PAYLOAD_SIZE) });
    await new Promise((resolve) => pusher.push(frame, signer, resolve));
    assert.deepEqual(plaintext, new Uint8Array(211));
  }
  assert.deepEqual(forgotten, [false]);
});
