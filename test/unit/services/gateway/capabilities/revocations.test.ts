import assert from 'node:assert/strict';
import { afterEach, before, beforeEach, describe, test } from 'node:test';
import type { RevocationStore } from '../../../../../services/gateway/capabilities/revocation-store.js';
import type { Crypto, KeyPair } from '../../../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import { wipe } from '../../../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../../../shared/encoding/reader.js';
import { encodeSealedRevocation, type RevocationFields } from '../../../../../shared/relay/revocation.js';
import { encodeSealedToken } from '../../../../../shared/relay/sealed-token.js';
import { seconds, VirtualClock } from '../../../../../shared/run/clock.js';
import {
  type CapabilityPart,
  type CapabilityPartOptions,
  signerOf,
  startCapabilityPart,
  temporaryState,
} from '../../../../support/revocations.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const SLOT = 5 * MINUTE;
const DAY = 24 * 60 * MINUTE;
const HOME = new Uint8Array(16).fill(7);
const OTHER = new Uint8Array(16).fill(8);
const TOKEN = new Uint8Array(32).fill(5);
const NO_OWNER = new Uint8Array(32);

let crypto: Crypto;
let clock: VirtualClock;
let folder: ReturnType<typeof temporaryState>;
let parts: CapabilityPart[];
let gateway: CapabilityPart;
let owner: KeyPair;

before(async () => {
  crypto = await loadCrypto();
});
beforeEach(async () => {
  // The start of a slot.
  clock = new VirtualClock(1_800_000_000_000);
  folder = temporaryState();
  parts = [];
  owner = crypto.ed25519KeyPair();
  gateway = await start();
});
afterEach(() => {
  for (const part of parts) part.close();
  folder.remove();
});

/** One more replica, or a gateway that restarted. */
async function start(options: Partial<CapabilityPartOptions> = {}): Promise<CapabilityPart> {
  const part = await startCapabilityPart({ crypto, clock, state: folder.state, ...options });
  parts.push(part);
  return part;
}

/** In place of the gateway one whose entries are in memory only: a folder is looked at every two seconds of many days. */
async function startWithoutFolder(): Promise<void> {
  const nothing = async () => {};
  gateway.close();
  gateway = await start({ store: { readable: true, start: nothing, append: nothing, close: nothing } });
}

const entries = async (): Promise<number | undefined> => {
  gateway.revocations.measure();
  return (await gateway.metrics.gauges()).get('revocations');
};

const bytes = (answer: Uint8Array | string): Uint8Array => {
  assert.ok(answer instanceof Uint8Array, String(answer));
  return answer;
};

interface Registration {
  readonly tag?: Uint8Array;
  readonly token?: Uint8Array;
  readonly ownerKey?: Uint8Array;
}

/** An unproven capability. */
function exchange({ tag = HOME, token = TOKEN, ownerKey = owner.publicKey }: Registration = {}): Uint8Array {
  const sealed = encodeSealedToken(crypto, gateway.sealingKeys.advertised()[0]!, {
    environment: 'production',
    appTag: new Uint8Array(8),
    createdAt: seconds(clock),
    subscriberTag: tag,
    ownerKey,
    token,
  });
  return bytes(gateway.capabilities.exchange(sealed, tag)).slice(0, 256);
}

const brokenStore: RevocationStore = {
  readable: false,
  start: async () => {},
  append: () => Promise.reject(new Error('full')),
  close: async () => {},
};

const draw = (capability: Uint8Array, tag: Uint8Array = HOME): Uint8Array => {
  const open = gateway.capabilities.open(capability, tag);
  assert.ok(typeof open !== 'string', String(open));
  return gateway.capabilities.draw(open);
};
const prove = (capability: Uint8Array, tag: Uint8Array = HOME): Uint8Array =>
  bytes(gateway.capabilities.prove(capability, draw(capability, tag), tag));
const proven = (registration: Registration = {}): Uint8Array =>
  prove(exchange(registration), registration.tag ?? HOME);
const renew = (capability: Uint8Array): Uint8Array => bytes(gateway.capabilities.renew(capability, HOME));

/** Whether all that a capability is good for is refused, or none of it. */
function isRevoked(capability: Uint8Array, { capabilities } = gateway, tag: Uint8Array = HOME): boolean {
  const open = capabilities.open(capability, tag);
  const renewed = capabilities.renew(capability, tag);
  const judged = capabilities.prove(capability, new Uint8Array(32), tag);
  if (open === 'revoked') {
    assert.deepEqual([renewed, judged], ['bad-capability', 'bad-capability']);
    return true;
  }
  assert.ok(typeof open !== 'string', String(open));
  assert.ok(renewed instanceof Uint8Array);
  assert.equal(judged, 'bad-code');
  return false;
}

const opened = (capability: Uint8Array, tag: Uint8Array = HOME) => {
  const open = gateway.capabilities.openOwn(capability, tag);
  assert.ok(typeof open !== 'string', String(open));
  return open;
};

const revoke = (body: Uint8Array, tag: Uint8Array = HOME, { revoking } = gateway) =>
  revoking.revoke(body, signerOf(tag));

const ownersRevocation = (changes: Partial<RevocationFields> = {}, by = owner): Uint8Array =>
  encodeSealedRevocation(crypto, gateway.sealingKeys.advertised()[0]!, by, {
    environment: 'production',
    appTag: new Uint8Array(8),
    createdAt: seconds(clock),
    token: TOKEN,
    ...changes,
  });

/** What ends capabilities of a device, by scope: each with the time that it takes as its own. */
const ENDINGS: Readonly<Record<string, (capability: Uint8Array) => Promise<unknown>>> = {
  'Apple refused a proven device': async (capability) =>
    gateway.revocations.refusedByApple(opened(capability), seconds(clock)),
  'its owner': () => revoke(ownersRevocation(), OTHER),
};

for (const [name, end] of Object.entries(ENDINGS)) {
  describe(`capabilities ended by: ${name}`, () => {
    test('proved in a slot that is over, also when renewed since', async () => {
      const capability = proven();
      clock.jump(SLOT);
      const renewed = renew(capability);
      await end(capability);
      assert.equal(isRevoked(capability), true);
      assert.equal(isRevoked(renewed), true);
      clock.jump(40 * DAY);
      assert.equal(isRevoked(renewed), true);
    });

    test('issued before, though the slot of the proof lasts', async () => {
      clock.jump(SECOND);
      const capability = proven();
      clock.jump(SECOND);
      await end(capability);
      assert.equal(isRevoked(capability), true);
    });

    test('issued before and never proved', async () => {
      const [unproven, capability] = [exchange(), proven()];
      clock.jump(SECOND);
      await end(capability);
      assert.equal(isRevoked(unproven), true);
    });

    test('but none of a registration that came after, be it in the same second', async () => {
      for (const later of [0, SECOND, SLOT]) {
        const old = proven();
        await end(old);
        clock.jump(later);
        const next = exchange();
        assert.equal(isRevoked(next), false, `${later} ms later`);
        const code = draw(next);
        const again = prove(next);
        assert.equal(isRevoked(again), false, `proved, ${later} ms later`);
        assert.equal(isRevoked(renew(again)), false);
        assert.ok(gateway.capabilities.prove(again, code, HOME) instanceof Uint8Array);
        clock.jump(SLOT);
      }
    });

    test('but no other device, app or environment', async () => {
      const capability = proven();
      const another = proven({ token: new Uint8Array(32).fill(6) });
      const longer = proven({ token: new Uint8Array(64).fill(5) });
      clock.jump(SLOT);
      await end(capability);
      assert.equal(isRevoked(another) || isRevoked(longer), false);
      const fields = { ...opened(capability) };
      assert.equal(gateway.revocations.isRevoked(fields), true);
      assert.equal(gateway.revocations.isRevoked({ ...fields, environment: 'sandbox' }), false);
      assert.equal(gateway.revocations.isRevoked({ ...fields, appTag: new Uint8Array(8).fill(1) }), false);
    });
  });
}

describe('who is hit', () => {
  test('by Apple: every subscriber and owner; Apple tells since when', async () => {
    const [mine, others] = [proven(), proven({ tag: OTHER, ownerKey: NO_OWNER })];
    clock.jump(DAY);
    const since = seconds(clock);
    clock.jump(SECOND);
    const later = proven({ tag: OTHER });
    clock.jump(DAY);
    gateway.revocations.refusedByApple(opened(mine), since);
    assert.equal(isRevoked(mine), true);
    assert.equal(isRevoked(others, gateway, OTHER), true);
    assert.equal(isRevoked(later, gateway, OTHER), false, 'proved after what Apple speaks of');
  });

  test('by Apple, with a clock that is ahead of ours: nobody who comes after', () => {
    gateway.revocations.refusedByApple(opened(proven()), seconds(clock) + 3_600);
    clock.jump(SECOND);
    assert.equal(isRevoked(exchange()), false);
  });

  test('by a subscriber: all that it has of the device, and no other subscriber', async () => {
    const [first, second] = [proven(), proven({ ownerKey: NO_OWNER })];
    const others = proven({ tag: OTHER });
    clock.jump(2 * SLOT);
    assert.equal(await revoke(second), undefined);
    assert.equal(isRevoked(first) && isRevoked(second), true);
    assert.equal(isRevoked(others, gateway, OTHER), false);
  });

  test('by an owner: what carries its key, at every subscriber', async () => {
    const [mine, unowned] = [proven({ tag: OTHER }), proven({ ownerKey: NO_OWNER })];
    const strangers = proven({ ownerKey: crypto.ed25519KeyPair().publicKey });
    clock.jump(SLOT);
    assert.equal(await revoke(ownersRevocation()), undefined);
    assert.equal(isRevoked(mine, gateway, OTHER), true);
    assert.equal(isRevoked(unowned) || isRevoked(strangers), false);
  });

  test('entries are forgotten when all that they end is over', async () => {
    await startWithoutFolder();
    const capability = proven();
    clock.jump(SLOT);
    await ENDINGS['Apple refused a proven device']!(capability);
    clock.jump(46 * DAY);
    await clock.advance(DAY);
    assert.equal(await entries(), 1);
    await clock.advance(DAY + 60 * MINUTE);
    assert.equal(await entries(), 0);
  });

  test('a clock that is months ahead for a while costs no entry', async () => {
    const [capability, other] = [proven(), proven({ token: new Uint8Array(32).fill(6) })];
    clock.jump(SLOT);
    await ENDINGS['Apple refused a proven device']!(capability);
    const replica = await start();
    await clock.advance(59 * MINUTE);
    clock.jump(100 * DAY);
    await clock.advance(2 * MINUTE);
    clock.jump(-100 * DAY);
    await clock.advance(3 * 60 * MINUTE);
    assert.ok(isRevoked(capability) && isRevoked(capability, replica));
    assert.ok(!isRevoked(other));
  });

  test('nor does one that is ahead for hours, again and again', async () => {
    await startWithoutFolder();
    const capability = proven();
    clock.jump(SLOT);
    await ENDINGS['Apple refused a proven device']!(capability);
    for (let day = 0; day < 3; day++) {
      clock.jump(47 * DAY);
      await clock.advance(20 * 60 * MINUTE);
      clock.jump(-47 * DAY);
      await clock.advance(4 * 60 * MINUTE);
    }
    assert.ok(isRevoked(capability));
  });

  test('nor does one that is ahead when entries are read', async () => {
    const capability = proven();
    clock.jump(SLOT);
    await ENDINGS['Apple refused a proven device']!(capability);
    await clock.advance(SECOND);
    clock.jump(46 * DAY + 30 * MINUTE);
    const replica = await start();
    clock.jump(-46 * DAY - 30 * MINUTE);
    assert.ok(isRevoked(capability, replica));
  });
});

describe('a subscriber gives a capability up', () => {
  test('the capability itself tells the time, so that a late request ends nothing newer', async () => {
    clock.jump(4 * MINUTE);
    const old = proven();
    clock.jump(30 * SECOND);
    // TDEL, then TNEW; the revocation of the first arrives last, when the slot of its proof is over.
    const next = exchange();
    clock.jump(MINUTE);
    assert.equal(await revoke(old), undefined);
    assert.equal(isRevoked(old), true);
    assert.equal(isRevoked(next), false);
    assert.equal(isRevoked(prove(next)), false);
  });

  test('registered, deleted and registered again within one second', async () => {
    const old = proven();
    const next = exchange();
    await revoke(old);
    assert.equal(isRevoked(old), true);
    assert.equal(isRevoked(next), false);
    assert.equal(isRevoked(prove(next)), false);
    assert.equal(isRevoked(exchange()), false);
  });

  test('renewals that a thief made before are ended with it', async () => {
    const capability = proven();
    clock.jump(DAY);
    const stolen = renew(capability);
    clock.jump(DAY);
    assert.equal(await revoke(capability), undefined);
    assert.equal(isRevoked(stolen), true);
  });

  test('once more is no error, and sent again later it harms nothing', async () => {
    const old = proven();
    clock.jump(DAY);
    assert.equal(await revoke(old), undefined);
    const next = proven();
    clock.jump(DAY);
    assert.equal(await revoke(old), undefined);
    assert.equal(isRevoked(next), false);
  });

  test('an unproven one is no entry', async () => {
    const capability = exchange();
    assert.equal(await revoke(capability), undefined);
    assert.equal(isRevoked(capability), false);
    assert.equal(await entries(), 0);
  });

  test("refused: another subscriber's, a forged one, one that is over, another size", async () => {
    const capability = proven();
    clock.jump(2 * SLOT);
    assert.deepEqual(await revoke(capability, OTHER), { code: 'bad-capability' });
    const forged = Uint8Array.from(capability).fill(1, 100, 101);
    assert.deepEqual(await revoke(forged), { code: 'bad-capability' });
    assert.equal(isRevoked(capability), false);
    await assert.rejects(revoke(capability.subarray(1)), DecodeError);
    clock.jump(45 * DAY);
    assert.deepEqual(await revoke(capability), { code: 'bad-capability' });
  });
});

describe("an owner's revocation", () => {
  test('is good for a day, and a minute ahead', async () => {
    const at = (offset: number) => revoke(ownersRevocation({ createdAt: seconds(clock) + offset }));
    const refused = { code: 'bad-sealed-token' };
    assert.equal(await at(-86_399), undefined);
    assert.deepEqual(await at(-86_400), refused);
    assert.equal(await at(60), undefined);
    assert.deepEqual(await at(61), refused);
  });

  test('one that is sent again after the phone registered anew harms nothing', async () => {
    const old = proven();
    const revocation = ownersRevocation();
    assert.equal(await revoke(revocation), undefined);
    clock.jump(SECOND);
    const next = proven();
    clock.jump(20 * 60 * MINUTE);
    assert.equal(await revoke(revocation, OTHER), undefined);
    assert.equal(isRevoked(old), true);
    assert.equal(isRevoked(next), false);
  });

  test('forged, without an owner, for an unknown key or of another size: refused', async () => {
    const capability = proven();
    clock.jump(SLOT);
    const forged = ownersRevocation({}, { ...owner, privateKey: crypto.ed25519KeyPair().privateKey });
    assert.deepEqual(await revoke(forged), { code: 'bad-sealed-token' });
    const unowned = ownersRevocation({}, { ...owner, publicKey: NO_OWNER });
    assert.deepEqual(await revoke(unowned), { code: 'bad-sealed-token' });
    const key = { keyId: new Uint8Array(4), publicKey: crypto.x25519KeyPair().publicKey };
    const fields = { environment: 'production', appTag: new Uint8Array(8), token: TOKEN } as const;
    const unknown = encodeSealedRevocation(crypto, key, owner, { ...fields, createdAt: seconds(clock) });
    assert.deepEqual(await revoke(unknown), { code: 'unknown-sealing-key' });
    await assert.rejects(revoke(ownersRevocation().subarray(1)), DecodeError);
    assert.equal(isRevoked(capability), false);
  });

  test('floods of made-up owners have an allowance, and push no other entries out', async () => {
    const capability = proven();
    clock.jump(SLOT);
    gateway.revocations.refusedByApple(opened(capability), seconds(clock));
    const answers = [];
    for (let i = 0; i < 62; i++) answers.push(await revoke(ownersRevocation({}, crypto.ed25519KeyPair())));
    assert.equal(answers.filter((answer) => answer === undefined).length, 60);
    assert.deepEqual(answers.at(-1), { code: 'rate', retryAfter: 60 });
    for (let i = 0; i < 400; i++) {
      await clock.advance(MINUTE);
      assert.equal(await revoke(ownersRevocation({}, crypto.ed25519KeyPair())), undefined);
    }
    assert.equal(await entries(), 251, 'owners have a quarter');
    assert.equal(isRevoked(capability), true);
  });
});

describe('an app whose phones have one subscriber', () => {
  beforeEach(async () => {
    gateway.close();
    gateway = await start({ hasOneSubscriber: true });
  });

  test('a new proof ends what another subscriber proved before, and lives', async () => {
    const old = proven({ tag: OTHER });
    clock.jump(SLOT);
    const next = proven();
    assert.equal(isRevoked(old, gateway, OTHER), true);
    for (const later of [0, SECOND, SLOT, 30 * DAY]) {
      clock.jump(later);
      assert.equal(isRevoked(next), false);
      assert.equal(isRevoked(renew(next)), false);
    }
  });

  test('at any second of a slot', () => {
    for (let at = 0; at < 300; at += 23) {
      clock.jump(2 * SLOT);
      clock.jump(-(clock.now() % SLOT) + at * SECOND);
      const next = proven({ tag: at % 2 === 0 ? HOME : OTHER });
      assert.equal(isRevoked(next, gateway, at % 2 === 0 ? HOME : OTHER), false, `${at} s into the slot`);
    }
  });

  test('a code of an older slot does not end a newer proof elsewhere', () => {
    const mine = exchange();
    const code = draw(mine);
    clock.jump(SLOT);
    const others = proven({ tag: OTHER });
    clock.jump(SLOT);
    assert.equal(gateway.capabilities.prove(mine, code, HOME), 'bad-capability', 'mine is ended by it');
    assert.equal(isRevoked(others, gateway, OTHER), false);
  });

  test('a proof whose answer was lost is given again, first or renewed', () => {
    let capability = exchange();
    for (let i = 0; i < 3; i++) {
      clock.jump(SLOT);
      const code = draw(capability);
      prove(capability);
      clock.jump(i * SECOND);
      const again = bytes(gateway.capabilities.prove(capability, code, HOME));
      assert.equal(isRevoked(again), false);
      assert.equal(isRevoked(capability), true, 'for anything else it is over');
      capability = again;
    }
  });

  test('what is ended otherwise is proved by no code of that time', async () => {
    for (const end of [(capability: Uint8Array) => revoke(capability), () => revoke(ownersRevocation())]) {
      const capability = proven();
      clock.jump(SLOT + SECOND);
      const code = draw(capability);
      clock.jump(SECOND);
      assert.equal(await end(capability), undefined);
      assert.equal(gateway.capabilities.prove(capability, code, HOME), 'bad-capability');
      clock.jump(SLOT);
    }
  });

  test('moving back and forth locks nobody out', () => {
    for (let i = 0; i < 6; i++) {
      const tag = i % 2 === 0 ? HOME : OTHER;
      assert.equal(isRevoked(proven({ tag }), gateway, tag), false);
      clock.jump(SLOT);
    }
  });
});

describe('what is revoked', () => {
  test('is known to a gateway that restarts, and to its replicas', async () => {
    const capability = proven();
    const replica = await start();
    const others = proven({ tag: OTHER, token: new Uint8Array(32).fill(9) });
    clock.jump(2 * SLOT);
    await revoke(capability);
    gateway.revocations.refusedByApple(opened(others, OTHER), seconds(clock));
    // Saved behind the push: this one waits for it.
    await revoke(ownersRevocation());
    await clock.advance(2 * SECOND);
    const restarted = await start();
    for (const part of [replica, restarted]) {
      assert.equal(isRevoked(capability, part), true);
      assert.equal(isRevoked(others, part, OTHER), true);
    }
  });

  test('is not renewed while entries cannot be read, and pushes and proofs go on', async () => {
    const capability = exchange();
    const part = await start({ store: brokenStore });
    assert.equal(part.capabilities.renew(capability, HOME), 'unavailable');
    assert.ok(typeof part.capabilities.open(capability, HOME) !== 'string');
    const fresh = bytes(part.capabilities.prove(capability, draw(capability), HOME));
    clock.jump(27 * DAY);
    assert.ok(gateway.capabilities.renewal(opened(fresh)) instanceof Uint8Array);
    assert.equal(part.capabilities.renewal(opened(fresh)), undefined);
  });

  test('and can not be saved: refused to whoever asks for it, in force where Apple said so', async () => {
    const capability = proven();
    const part = await start({ store: { ...brokenStore, readable: true } });
    clock.jump(2 * SLOT);
    assert.deepEqual(await revoke(capability, HOME, part), { code: 'unavailable' });
    assert.deepEqual(await revoke(ownersRevocation(), HOME, part), { code: 'unavailable' });
    assert.equal(isRevoked(capability, part), false);
    part.revocations.refusedByApple(opened(capability), seconds(clock));
    assert.equal(isRevoked(capability, part), true);
  });

  test('leaves no token in memory of its own', async () => {
    const open = opened(proven());
    clock.jump(SLOT);
    gateway.revocations.refusedByApple(open, seconds(clock));
    assert.equal(gateway.revocations.isRevoked(open), true);
    wipe(open.plaintext);
    const scratch = Object.values(gateway.revocations).find((value) => value instanceof Uint8Array);
    assert.deepEqual(scratch, new Uint8Array(109));
  });
});
