import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, beforeEach, describe, it } from 'node:test';
import { Handlers, type Reply } from '../../../../../services/subscriber/clients/handlers.js';
import { TokenSealer } from '../../../../../services/subscriber/clients/token-sealing.js';
import type { FollowStatus } from '../../../../../services/subscriber/sources/source.js';
import type { Crypto } from '../../../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import { utf8 } from '../../../../../shared/encoding/bytes.js';
import type { NtfCommand } from '../../../../../shared/ntf/commands.js';
import type { NtfResponse } from '../../../../../shared/ntf/responses.js';
import { VirtualClock } from '../../../../../shared/run/clock.js';
import { FakeRegistry, FakeWake } from '../../../../support/fake-registry.js';
import { replyText } from '../../../../support/ntf-client.js';
import { TOPIC, testFacts, testPhone } from '../../../../support/ntf-server.js';

const NONE = new Uint8Array(0);

describe('NTF commands', () => {
  let crypto: Crypto;
  let registry: FakeRegistry;
  let wake: FakeWake;
  let link: { facts: ReturnType<typeof testFacts> | undefined };
  let handlers: Handlers;

  before(async () => {
    crypto = await loadCrypto();
  });

  beforeEach(() => {
    registry = new FakeRegistry();
    wake = new FakeWake(registry);
    link = { facts: testFacts(crypto.x25519KeyPair().publicKey) };
    handlers = handlersOf('simplex');
  });

  const processKey = randomBytes(32);
  function handlersOf(listener: string, key: Uint8Array = processKey): Handlers {
    const clock = new VirtualClock();
    const sealer = new TokenSealer({
      crypto,
      clock,
      link,
      topic: TOPIC,
      subscriberTag: randomBytes(16),
      hashKey: key,
    });
    return new Handlers({ listener, crypto, devices: registry, wake, sealer, processKey: key });
  }

  const run = async (command: NtfCommand, entityId: Uint8Array = NONE, on = handlers): Promise<Reply> =>
    on.run(command, entityId);
  const text = async (command: NtfCommand, entityId?: Uint8Array): Promise<string> => {
    const reply = await run(command, entityId);
    return reply === undefined ? 'closed' : replyText(reply);
  };
  const expect = <W extends NtfResponse['word']>(reply: Reply, word: W): NtfResponse & { word: W } => {
    assert.equal(reply?.word, word);
    return reply as NtfResponse & { word: W };
  };
  const word = (w: 'TCHK' | 'TDEL' | 'SCHK' | 'SDEL'): NtfCommand => ({ word: w });

  async function registered(options?: Parameters<typeof testPhone>[1]) {
    const phone = testPhone(crypto, options);
    const { tokenId } = expect(await run(phone.tnew), 'IDTKN');
    const device = registry.deviceById(tokenId)!;
    return { ...phone, device, tokenId: tokenId.slice(), code: wake.codes.get(device.slot)! };
  }

  async function active() {
    const phone = await registered();
    assert.equal(await text({ word: 'TVFY', code: phone.code }, phone.tokenId), 'OK');
    return phone;
  }

  const snew = (tokenId: Uint8Array, raw: Uint8Array = randomBytes(32)): NtfCommand & { word: 'SNEW' } => ({
    word: 'SNEW',
    tokenId,
    queue: {
      server: { hosts: ['smp8.simplex.im'], port: '', keyHash: new Uint8Array(randomBytes(32)) },
      notifierId: new Uint8Array(randomBytes(24)),
    },
    notifierKey: { algorithm: 'ed25519', raw },
  });

  describe('TNEW', () => {
    it('registers, asks for a verification push and shares a secret with the phone', async () => {
      const phone = testPhone(crypto);
      const { tokenId, dhKey } = expect(await run(phone.tnew), 'IDTKN');
      const device = registry.deviceById(tokenId)!;
      assert.equal(device.listener, 'simplex');
      assert.equal(device.environment, 'production');
      assert.equal(device.sealedToken?.length, 229);
      assert.equal(wake.verifications, 1);
      assert.deepEqual(device.dhSecret, crypto.x25519(phone.dhPrivateKey, dhKey));
    });

    it('repeated: same id, same key, one more push, the token sealed anew', async () => {
      const phone = await registered();
      const again = expect(await run(phone.tnew), 'IDTKN');
      assert.deepEqual(again.tokenId, phone.tokenId);
      assert.deepEqual(again.dhKey, phone.device.serverDhPublicKey);
      assert.equal(wake.verifications, 2);
      assert.equal(phone.device.resealed, 1);
      assert.equal(registry.devices.length, 1);
    });

    it('keeps the status of an ACTIVE token and brings an INVALID one back', async () => {
      const phone = await active();
      await run(phone.tnew);
      assert.equal(phone.device.status, 'active');
      registry.setStatus(phone.device, 'invalid', 'unregistered');
      await run(phone.tnew);
      assert.equal(phone.device.status, 'confirmed');
    });

    it('with another client DH key is refused, also after TRPL', async () => {
      const phone = await registered();
      const other = { ...phone.tnew, dhKey: crypto.x25519KeyPair().publicKey };
      assert.equal(await text(other), 'ERR AUTH');
      const token = testPhone(crypto).tnew.token;
      assert.equal(await text({ word: 'TRPL', token }, phone.tokenId), 'OK');
      assert.equal(await text({ ...other, token }), 'ERR AUTH');
      const same = expect(await run({ ...phone.tnew, token }), 'IDTKN');
      assert.deepEqual(same.tokenId, phone.tokenId);
    });

    it('with another key, at another listener or in another process is another registration', async () => {
      const phone = await registered({ token: 'ab'.repeat(32) });
      const other = await registered({ token: 'ab'.repeat(32) });
      assert.notDeepEqual(other.tokenId, phone.tokenId);
      assert.deepEqual(other.device.tokenHash, phone.device.tokenHash);
      const elsewhere = handlersOf('other');
      const { tokenId, dhKey } = expect(await run(phone.tnew, NONE, elsewhere), 'IDTKN');
      assert.notDeepEqual(tokenId, phone.tokenId);
      assert.notDeepEqual(dhKey, phone.device.serverDhPublicKey);
      const restarted = handlersOf('simplex', randomBytes(32));
      assert.notDeepEqual(expect(await run(phone.tnew, NONE, restarted), 'IDTKN').tokenId, phone.tokenId);
    });

    it('takes provider AN without sealing or a gateway', async () => {
      link.facts = undefined;
      const phone = await registered({ provider: 'AN', token: 'apns_null test_ntf_token' });
      assert.equal(phone.device.environment, 'none');
      assert.equal(phone.device.sealedToken, undefined);
      expect(await run(phone.tnew), 'IDTKN');
      assert.equal(phone.device.resealed, 0);
    });

    it('refuses environments that the gateway does not serve for this app', async () => {
      link.facts = testFacts(crypto.x25519KeyPair().publicKey, ['production']);
      for (const provider of ['AT', 'AD'] as const) {
        assert.equal(await text(testPhone(crypto, { provider }).tnew), 'ERR CMD PROHIBITED', provider);
      }
      expect(await run(testPhone(crypto).tnew), 'IDTKN');
      link.facts = { ...link.facts, apps: new Map() };
      assert.equal(await text(testPhone(crypto).tnew), 'ERR CMD PROHIBITED');
    });

    it('refuses what is no token, and a key that leads to no secret', async () => {
      for (const token of ['', 'abc', 'zz', 'ab'.repeat(101), '../3/device/00']) {
        assert.equal(await text(testPhone(crypto, { token }).tnew), 'ERR CMD SYNTAX', token);
      }
      assert.equal(await text({ ...testPhone(crypto).tnew, dhKey: new Uint8Array(32) }), 'ERR AUTH');
      assert.equal(registry.devices.length, 0);
    });

    it('closes the connection where nothing can be sealed or there is no room', async () => {
      registry.isFull = true;
      assert.equal(await text(testPhone(crypto).tnew), 'closed');
      registry.isFull = false;
      link.facts = undefined;
      assert.equal(await text(testPhone(crypto).tnew), 'closed');
    });
  });

  describe('TVFY', () => {
    it('makes the token ACTIVE, may be repeated, and ends other registrations of the token', async () => {
      const first = await registered({ token: 'cd'.repeat(32) });
      const second = await registered({ token: 'cd'.repeat(32) });
      assert.equal(await text({ word: 'TVFY', code: second.code }, second.tokenId), 'OK');
      assert.equal(await text(word('TCHK'), second.tokenId), 'TKN ACTIVE');
      assert.equal(await text(word('TCHK'), first.tokenId), 'ERR AUTH');
      assert.equal(await text({ word: 'TVFY', code: second.code }, second.tokenId), 'OK');
    });

    it("says AUTH only for a wrong code, and closes where the gateway can't be asked", async () => {
      const { tokenId, code } = await registered();
      assert.equal(await text({ word: 'TVFY', code: randomBytes(32) }, tokenId), 'ERR AUTH');
      assert.equal(await text({ word: 'TVFY', code: code.subarray(1) }, tokenId), 'ERR AUTH');
      wake.result = 'unreachable';
      assert.equal(await text({ word: 'TVFY', code }, tokenId), 'closed');
    });

    it('is not allowed when INVALID', async () => {
      const { tokenId, code, device } = await active();
      registry.setStatus(device, 'invalid', 'bad');
      assert.equal(await text({ word: 'TVFY', code }, tokenId), 'ERR AUTH');
    });
  });

  it('TCHK tells each status', async () => {
    const { tokenId, device } = await registered();
    for (const [status, expected] of [
      ['registered', 'TKN REGISTERED'],
      ['confirmed', 'TKN CONFIRMED'],
      ['active', 'TKN ACTIVE'],
    ] as const) {
      registry.setStatus(device, status);
      assert.equal(await text(word('TCHK'), tokenId), expected);
    }
    for (const reason of ['bad', 'topic', 'expired', 'unregistered'] as const) {
      registry.setStatus(device, 'invalid', reason);
      assert.equal(await text(word('TCHK'), tokenId), `TKN INVALID,${reason.toUpperCase()}`);
    }
    registry.setStatus(device, 'invalid');
    assert.equal(await text(word('TCHK'), tokenId), 'TKN INVALID');
  });

  it('TRPL replaces the token, keeps secret and subscriptions, and asks for a push', async () => {
    const { tokenId, device } = await active();
    const subscribed = expect(await run(snew(tokenId)), 'IDSUB');
    const { dhSecret, tokenHash, sealedToken } = { ...device };
    const token = { provider: 'AD', text: utf8('EF'.repeat(32)) } as const;
    assert.equal(await text({ word: 'TRPL', token }, tokenId), 'OK');
    assert.equal(device.environment, 'sandbox');
    assert.notDeepEqual(device.tokenHash, tokenHash);
    assert.notDeepEqual(device.sealedToken, sealedToken);
    assert.deepEqual(device.dhSecret, dhSecret);
    assert.equal(wake.verifications, 2);
    assert.equal(await text(word('SCHK'), subscribed.subscriptionId), 'ERR AUTH');
    assert.equal(await text({ word: 'TVFY', code: wake.codes.get(device.slot)! }, tokenId), 'OK');
    assert.equal(await text(word('SCHK'), subscribed.subscriptionId), 'SUB PENDING');
  });

  it("TRPL with another registration's token and key is refused, with a bad one too", async () => {
    const phone = await registered();
    const moved = testPhone(crypto).tnew.token;
    expect(await run({ ...phone.tnew, token: moved }), 'IDTKN');
    assert.equal(await text({ word: 'TRPL', token: moved }, phone.tokenId), 'ERR AUTH');
    const bad = { provider: 'AP', text: utf8('xyz') } as const;
    assert.equal(await text({ word: 'TRPL', token: bad }, phone.tokenId), 'ERR CMD SYNTAX');
    link.facts = undefined;
    assert.equal(await text({ word: 'TRPL', token: moved }, phone.tokenId), 'closed');
  });

  it('TDEL forgets the token and its subscriptions', async () => {
    const { tokenId } = await active();
    const { subscriptionId } = expect(await run(snew(tokenId)), 'IDSUB');
    const { slot } = registry.deviceById(tokenId)!;
    assert.equal(await text(word('TDEL'), tokenId), 'OK');
    assert.deepEqual(wake.givenUp, [slot], 'its capability ends at the gateway too');
    assert.equal(await text(word('TCHK'), tokenId), 'ERR AUTH');
    assert.equal(await text(word('SCHK'), subscriptionId), 'ERR AUTH');
  });

  it('TCRN takes 0 and 20 up to 16 bits, in any status', async () => {
    const { tokenId, device } = await registered();
    for (const minutes of [20, 65_535, 0]) {
      assert.equal(await text({ word: 'TCRN', minutes }, tokenId), 'OK');
      assert.equal(device.checkMinutes, minutes);
    }
    for (const minutes of [1, 19]) assert.equal(await text({ word: 'TCRN', minutes }, tokenId), 'ERR QUOTA');
    assert.equal(device.checkMinutes, 0);
    assert.equal(wake.checksChanges, 3);
  });

  describe('SNEW', () => {
    it('needs a token that is ACTIVE or INVALID', async () => {
      const { tokenId, device } = await registered();
      assert.equal(await text(snew(tokenId)), 'ERR AUTH');
      assert.equal(await text(snew(randomBytes(24))), 'ERR AUTH');
      for (const status of ['active', 'invalid'] as const) {
        registry.setStatus(device, status);
        assert.equal(await text(snew(tokenId)), 'IDSUB');
      }
    });

    it('repeated with the same key gives the same id; other keys and other tokens are refused', async () => {
      const { tokenId } = await active();
      const command = snew(tokenId);
      const first = expect(await run(command), 'IDSUB');
      assert.deepEqual(expect(await run(command), 'IDSUB').subscriptionId, first.subscriptionId);
      const otherKey = { algorithm: 'ed25519', raw: randomBytes(32) } as const;
      assert.equal(await text({ ...command, notifierKey: otherKey }), 'ERR AUTH');
      const other = await active();
      assert.equal(await text({ ...command, tokenId: other.tokenId }), 'ERR AUTH');
    });

    it("keeps a copy of the queue's address", async () => {
      const { tokenId } = await active();
      const command = snew(tokenId);
      const { subscriptionId } = expect(await run(command), 'IDSUB');
      command.queue.notifierId.fill(0);
      command.queue.server.keyHash.fill(0);
      const { queue } = registry.subscriptionById(subscriptionId)!;
      assert.ok(
        queue.notifierId.some((byte) => byte !== 0) && queue.server.keyHash.some((byte) => byte !== 0),
      );
    });

    it('says why it is refused', async () => {
      const { tokenId } = await active();
      for (const [refusal, expected] of [
        ['prohibited', 'ERR CMD PROHIBITED'],
        ['servers', 'ERR QUOTA'],
        ['full', 'ERR QUOTA'],
      ] as const) {
        registry.refusal = refusal;
        assert.equal(await text(snew(tokenId)), expected);
      }
    });
  });

  it('SCHK tells each status, SDEL forgets', async () => {
    const { tokenId } = await active();
    const { subscriptionId } = expect(await run(snew(tokenId)), 'IDSUB');
    const subscription = registry.subscriptionById(subscriptionId)!;
    const kinds = ['pending', 'active', 'inactive', 'end', 'deleted', 'auth', 'service'] as const;
    const statuses: FollowStatus[] = [...kinds.map((kind) => ({ kind })), { kind: 'error', word: 'QUOTA' }];
    const texts = ['PENDING', 'ACTIVE', 'INACTIVE', 'END', 'DELETED', 'AUTH', 'SERVICE', 'ERR QUOTA'];
    for (const [i, status] of statuses.entries()) {
      subscription.status = status;
      assert.equal(await text(word('SCHK'), subscriptionId), `SUB ${texts[i]}`);
    }
    assert.equal(await text(word('SDEL'), subscriptionId), 'OK');
    assert.equal(await text(word('SDEL'), subscriptionId), 'ERR AUTH');
  });

  it("knows nothing of other listeners' devices and subscriptions", async () => {
    const { tokenId } = await active();
    const { subscriptionId } = expect(await run(snew(tokenId)), 'IDSUB');
    const other = handlersOf('other');
    for (const [command, id] of [
      [word('TCHK'), tokenId],
      [word('SCHK'), subscriptionId],
      [snew(tokenId), NONE],
    ] as const) {
      assert.equal(replyText(expect(await run(command, id, other), 'ERR')), 'ERR AUTH');
    }
  });

  it('takes every authorised command for a sign of life, and PING for none', async () => {
    const { tokenId } = await active();
    const before = registry.touched;
    await run(word('TCHK'), tokenId);
    const { subscriptionId } = expect(await run(snew(tokenId)), 'IDSUB');
    await run(word('SCHK'), subscriptionId);
    assert.equal(registry.touched, before + 3);
    assert.equal(await text({ word: 'PING' }), 'PONG');
    assert.equal(registry.touched, before + 3);
  });
});
