import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, before, beforeEach, describe, test } from 'node:test';
import { burnEpoch, epochNames } from '../../../../../services/gateway/burn.js';
import { Capabilities } from '../../../../../services/gateway/capabilities/capabilities.js';
import type { OpenCapability } from '../../../../../services/gateway/capabilities/capability.js';
import { Epochs } from '../../../../../services/gateway/capabilities/epochs.js';
import { KeyFolder } from '../../../../../services/gateway/capabilities/key-folder.js';
import { SealingKeys } from '../../../../../services/gateway/capabilities/sealing-keys.js';
import type { Crypto } from '../../../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import { encodeSealedToken, type TokenFields } from '../../../../../shared/relay/sealed-token.js';
import { seconds, VirtualClock } from '../../../../../shared/run/clock.js';
import { silentLog } from '../../../../../shared/run/log.js';
import { Secret } from '../../../../../shared/run/secret.js';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const TAG = new Uint8Array(16).fill(7);

let crypto: Crypto;
let state: string;
let clock: VirtualClock;
let epochs: Epochs;
let sealingKeys: SealingKeys;
let capabilities: Capabilities;
let served = true;

before(async () => {
  crypto = await loadCrypto();
});
beforeEach(() => {
  served = true;
  state = mkdtempSync(join(tmpdir(), 'porchlight-capabilities-'));
  clock = new VirtualClock(1_800_000_000_000);
  const base = { crypto, clock, log: silentLog };
  epochs = new Epochs({ ...base, folder: new KeyFolder(join(state, 'epochs'), 'epoch root') });
  sealingKeys = new SealingKeys({ ...base, folder: new KeyFolder(join(state, 'sealing'), 'sealing key') });
  const tagKey = new Secret('tag', crypto.randomBytes(32));
  const revocations = { isRevoked: () => false, readable: true, supersede: () => {} };
  const rules = { serves: () => served, hasOneSubscriber: () => false };
  capabilities = new Capabilities({ crypto, clock, epochs, sealingKeys, tagKey, revocations, ...rules });
});
afterEach(() => {
  epochs.close();
  sealingKeys.close();
  rmSync(state, { recursive: true });
});

function seal(changes: Partial<TokenFields> = {}): Uint8Array {
  return encodeSealedToken(crypto, sealingKeys.advertised()[0]!, {
    environment: 'production',
    appTag: new Uint8Array(8),
    createdAt: seconds(clock),
    subscriberTag: TAG,
    ownerKey: new Uint8Array(32),
    token: new Uint8Array(32).fill(5),
    ...changes,
  });
}

const bytes = (answer: Uint8Array | string): Uint8Array => {
  assert.ok(answer instanceof Uint8Array, String(answer));
  return answer;
};
const exchange = () => bytes(capabilities.exchange(seal(), TAG)).slice(0, 256);
const open = (capability: Uint8Array): OpenCapability => {
  const opened = capabilities.open(capability, TAG);
  assert.ok(typeof opened !== 'string', String(opened));
  return opened;
};
const prove = (capability: Uint8Array, code: Uint8Array) => capabilities.prove(capability, code, TAG);
const draw = (capability: Uint8Array) => capabilities.draw(open(capability));

describe('capabilities', () => {
  test('an unproven one lives for three days, however often it is renewed', () => {
    let capability: Uint8Array = exchange();
    assert.equal(open(capability).proven, false);
    clock.jump(3 * DAY - 1000);
    capability = bytes(capabilities.renew(capability, TAG));
    assert.equal(open(capability).issued, seconds(clock));
    clock.jump(1000);
    assert.equal(capabilities.open(capability, TAG), 'expired');
    assert.equal(capabilities.renew(capability, TAG), 'bad-capability');
  });

  test('a proof starts a life of 45 days at the start of its slot', () => {
    const capability = exchange();
    clock.jump(123_000);
    const code = draw(capability);
    clock.jump(10 * MINUTE);
    const proven = bytes(prove(capability, code));
    assert.equal(open(proven).provenAt, 1_800_000_000);
    assert.equal(open(proven).expires, 1_800_000_000 + 45 * 86_400);
    assert.deepEqual(open(proven).id, open(capability).id);
  });

  test('within a slot a device gets the same code, then another', () => {
    const capability = exchange();
    const first = draw(capability);
    clock.jump(5 * MINUTE - 1000);
    assert.deepEqual(draw(bytes(capabilities.renew(capability, TAG))), first, 'the id survives renewal');
    clock.jump(1000);
    assert.notDeepEqual(draw(capability), first);
  });

  test('a code is good for seven days, across a change of epoch, and can not be hoarded', () => {
    let capability: Uint8Array = exchange();
    capability = bytes(prove(capability, draw(capability)));
    clock.jump(5 * DAY);
    const code = draw(capability);
    clock.jump(7 * DAY);
    const proven = bytes(prove(capability, code));
    assert.equal(open(proven).provenAt, 1_800_000_000 + 5 * 86_400);
    clock.jump(1000);
    assert.equal(prove(proven, code), 'bad-code');
  });

  test('an older code never takes back a newer proof', () => {
    const capability = exchange();
    const old = draw(capability);
    clock.jump(DAY);
    const proven = bytes(prove(capability, draw(capability)));
    const again = bytes(prove(proven, old));
    assert.equal(open(again).provenAt, open(proven).provenAt);
  });

  test('a code of the future, or of a slot before this epoch, is wrong', () => {
    const capability = exchange();
    const code = draw(capability);
    clock.jump(-5 * MINUTE);
    assert.equal(prove(capability, code), 'bad-code');
    assert.equal(prove(capability, new Uint8Array(32)), 'bad-code');
  });

  test('it works for the subscriber it names, and for an app that is served', () => {
    const capability = exchange();
    assert.equal(capabilities.open(capability, new Uint8Array(16)), 'wrong-subscriber');
    served = false;
    assert.equal(capabilities.open(capability, TAG), 'unknown-key');
    assert.equal(capabilities.exchange(seal(), TAG), 'bad-sealed-token');
  });

  test('a renewal comes along once the key is past half its 52 days', () => {
    let capability: Uint8Array = exchange();
    capability = bytes(prove(capability, draw(capability)));
    clock.jump(26 * DAY - 1000);
    assert.equal(capabilities.renewal(open(capability)), undefined);
    clock.jump(1000);
    const renewed = bytes(capabilities.renewal(open(capability))!);
    assert.equal(open(renewed).expires, open(capability).expires);
    assert.equal(open(renewed).provenAt, open(capability).provenAt);
    assert.equal(capabilities.renewal(open(renewed)), undefined);
  });

  test('what is issued in the last second of an epoch opens as well', async () => {
    clock.jump(7 * DAY - 1000);
    open(exchange());
    const capability = exchange();
    clock.jump(1000);
    open(capability);
    open(bytes(capabilities.renew(capability, TAG)));
  });

  test('a burnt epoch opens nothing any more', async () => {
    const capability = exchange();
    const [name] = epochNames(state);
    assert.equal(burnEpoch(state, 'deadbeef'), false);
    assert.equal(burnEpoch(state, name!), true);
    assert.deepEqual(epochNames(state), []);
    await clock.advance(MINUTE);
    assert.equal(capabilities.open(capability, TAG), 'unknown-key');
    open(exchange());
  });

  test('sealed tokens: no older than a day, no further ahead than an hour', () => {
    const at = (offset: number) => capabilities.exchange(seal({ createdAt: seconds(clock) + offset }), TAG);
    assert.ok(at(-86_399) instanceof Uint8Array);
    assert.equal(at(-86_400), 'bad-sealed-token');
    assert.ok(at(3600) instanceof Uint8Array);
    assert.equal(at(3601), 'bad-sealed-token');
  });

  test('sealing keys: a new one each 30 days, the old advertised for 60 and opening for 61', () => {
    const [first] = sealingKeys.advertised();
    const old = seal();
    clock.jump(29 * DAY);
    assert.equal(sealingKeys.advertised().length, 1);
    clock.jump(2 * DAY);
    const both = sealingKeys.advertised();
    assert.deepEqual(both[1]?.keyId, first?.keyId);
    clock.jump(29 * DAY);
    assert.ok(!sealingKeys.advertised().some((key) => Buffer.from(key.keyId).equals(first!.keyId)));
    assert.equal(capabilities.exchange(old, TAG), 'bad-sealed-token', 'opens, but is old');
    clock.jump(DAY);
    assert.equal(capabilities.exchange(old, TAG), 'unknown-sealing-key');
  });

  test('sealing keys: one made while the clock was ahead does not stop others', () => {
    clock.jump(400 * DAY);
    sealingKeys.advertised();
    clock.jump(-400 * DAY);
    const [key] = sealingKeys.advertised();
    assert.ok(key !== undefined && key.notBefore <= seconds(clock));
    assert.ok(capabilities.exchange(seal(), TAG) instanceof Uint8Array);
  });

  test('sealing keys: no more are advertised than a statement may hold', () => {
    for (let i = 0; i < 40; i++) {
      clock.jump(-DAY);
      sealingKeys.advertised();
    }
    clock.jump(41 * DAY);
    assert.ok(sealingKeys.advertised().length <= 16);
  });
});
