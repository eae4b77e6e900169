import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type SealedDevice, TokenSealer } from '../../../../../services/subscriber/clients/token-sealing.js';
import type { Crypto, KeyPair } from '../../../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import { fromHex, latin1, utf8 } from '../../../../../shared/encoding/bytes.js';
import type { Provider } from '../../../../../shared/ntf/constants.js';
import { appTag } from '../../../../../shared/relay/identity.js';
import { openSealedToken } from '../../../../../shared/relay/sealed-token.js';
import { VirtualClock } from '../../../../../shared/run/clock.js';
import { TOPIC, testFacts } from '../../../../support/ntf-server.js';
import { watchedCrypto } from '../../../../support/watched-crypto.js';

const TOKEN = '0123456789abcdef'.repeat(4);
const NOW = 1_800_000_000;

describe('sealing of device tokens', () => {
  let crypto: Crypto;
  let keys: KeyPair;
  const subscriberTag = new Uint8Array(16).fill(7);
  const hashKey = new Uint8Array(32).fill(9);

  before(async () => {
    crypto = await loadCrypto();
    keys = crypto.x25519KeyPair();
  });

  const sealerWith = (using: Crypto, clockOffset = 0): TokenSealer =>
    new TokenSealer({
      crypto: using,
      clock: new VirtualClock(NOW * 1000),
      link: { facts: { ...testFacts(keys.publicKey), clockOffset } },
      topic: TOPIC,
      subscriberTag,
      hashKey,
    });
  const seal = (provider: Provider, text: string, using = crypto): SealedDevice => {
    const sealed = sealerWith(using).seal({ provider, text: utf8(text) });
    assert.ok('tokenHash' in sealed);
    return sealed;
  };

  it('seals what relay.md §3 says', () => {
    const { environment, sealedToken } = seal('AP', TOKEN);
    assert.equal(environment, 'production');
    assert.equal(sealedToken?.length, 229);
    assert.deepEqual(openSealedToken(crypto, keys.privateKey, sealedToken), {
      environment: 'production',
      appTag: appTag(crypto, TOPIC),
      createdAt: NOW,
      subscriberTag,
      ownerKey: new Uint8Array(32),
      token: fromHex(TOKEN),
    });
  });

  it("dates it by the gateway's clock", () => {
    const sealed = sealerWith(crypto, -7200).seal({ provider: 'AP', text: utf8(TOKEN) }) as SealedDevice;
    assert.equal(openSealedToken(crypto, keys.privateKey, sealed.sealedToken!)?.createdAt, NOW - 7200);
  });

  it('takes the token of the test environment as the text it is', () => {
    const { environment, sealedToken } = seal('AT', 'not hex at all');
    assert.equal(environment, 'test');
    const opened = openSealedToken(crypto, keys.privateKey, sealedToken!);
    assert.equal(latin1(opened!.token), 'not hex at all');
  });

  it('hashes provider and token, whatever the spelling', () => {
    const { tokenHash } = seal('AP', TOKEN);
    assert.deepEqual(seal('AP', TOKEN.toUpperCase()).tokenHash, tokenHash);
    for (const other of [seal('AD', TOKEN), seal('AP', TOKEN.replace('0', '1')), seal('AT', TOKEN)]) {
      assert.notDeepEqual(other.tokenHash, tokenHash);
    }
    assert.deepEqual(tokenHash, crypto.hmacSha256(hashKey, Uint8Array.of(0), fromHex(TOKEN)!));
  });

  it('leaves the token in no array that it used', () => {
    const { crypto: watching, seen } = watchedCrypto(crypto);
    seal('AP', TOKEN, watching);
    const token = Buffer.from(TOKEN, 'hex');
    assert.ok(seen.length > 2);
    for (const bytes of seen) assert.equal(Buffer.from(bytes.buffer).indexOf(token), -1);
  });
});
