import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Crypto, CryptoError } from '../../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../../shared/crypto/load.js';
import { concat, utf8 } from '../../../../shared/encoding/bytes.js';
import { backends, counting, hex, native } from '../../../support/crypto.js';

const NONE = new Uint8Array(0);
const SUNSCREEN = utf8(
  "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
);

/** RFC 7748 §5.2 and §6.1: private key, public key, shared secret. */
const X25519 = [
  [
    'a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4',
    'e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c',
    'c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552',
  ],
  [
    '4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d',
    'e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493',
    '95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957',
  ],
  [
    '77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a',
    'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f',
    '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742',
  ],
] as const;

/** RFC 8032 §7.1: seed, public key, message, signature. */
const ED25519 = [
  [
    '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    '',
    `e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155
     5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b`,
  ],
  [
    '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    '72',
    `92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da
     085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00`,
  ],
  [
    'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    'af82',
    `6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac
     18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a`,
  ],
] as const;

/** Points of small order, for which every X25519 result is zero (RFC 7748 §6.1). */
const SMALL_ORDER = [
  '00'.repeat(32),
  `01${'00'.repeat(31)}`,
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  `ec${'ff'.repeat(30)}7f`,
];

for (const crypto of backends) {
  describe(`${crypto.backend} back end`, () => {
    x25519Tests(crypto);
    boxTests(crypto);
    ed25519Tests(crypto);
    aeadTests(crypto);
    hashTests(crypto);
    memoryTests(crypto);
  });
}

test('the native back end is preferred', async () => {
  assert.equal((await loadCrypto()).backend, native.backend);
});

function x25519Tests(crypto: Crypto): void {
  test('X25519: RFC 7748', () => {
    for (const [secret, peer, shared] of X25519) {
      assert.deepEqual(crypto.x25519(hex(secret), hex(peer)), hex(shared));
    }
    assert.deepEqual(
      crypto.x25519PublicKey(hex(X25519[2][0])),
      hex('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a'),
    );
  });

  test('X25519: an all-zero result is refused', () => {
    for (const point of SMALL_ORDER) {
      assert.throws(() => crypto.x25519(counting(1, 32), hex(point)), CryptoError, point);
    }
  });

  test('X25519: fresh pairs agree with each other', () => {
    const a = crypto.x25519KeyPair();
    const b = crypto.x25519KeyPair();
    assert.notDeepEqual(a.privateKey, b.privateKey);
    assert.deepEqual(crypto.x25519(a.privateKey, b.publicKey), crypto.x25519(b.privateKey, a.publicKey));
  });
}

/** NaCl's own vectors (Bernstein, "Cryptography in NaCl", sections 8 and 10). */
function boxTests(crypto: Crypto): void {
  const firstKey = hex('1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389');
  const secondKey = hex('dc908dda0b9344a953629b733820778880f3ceb421bb61b91cbd4c3e66256ce4');
  const nonce = hex('69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37');
  const message = hex(`be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a
    1ac728d45e6c61296cdc3c01233561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a
    024a838f21af1fde048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f937763848645e0705`);
  const box = hex(`f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c5
    31a1186ac0dfc17c98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e5
    26ae90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74
    e355a5`);

  test("HSalsa20: NaCl's two steps", () => {
    assert.deepEqual(crypto.hsalsa20(hex(X25519[2][2]), new Uint8Array(16)), firstKey);
    assert.deepEqual(crypto.hsalsa20(firstKey, nonce.subarray(0, 16)), secondKey);
  });

  test("secretbox: NaCl's box, opened and forged", () => {
    assert.deepEqual(crypto.secretboxSeal(firstKey, nonce, message), box);
    assert.deepEqual(crypto.secretboxOpen(firstKey, nonce, box), message);
    for (let i = 0; i < box.length; i += 7) {
      assert.equal(crypto.secretboxOpen(firstKey, nonce, flipped(box, i)), undefined);
    }
    for (const cut of [0, 15, 16, box.length - 1]) {
      assert.equal(crypto.secretboxOpen(firstKey, nonce, box.subarray(0, cut)), undefined);
    }
  });

  test('crypto_box: the same box from the keys of both, none with a key of small order', () => {
    const [privateKey, publicKey] = [hex(X25519[2][0]), hex(X25519[2][1])];
    assert.deepEqual(crypto.boxSeal(privateKey, publicKey, nonce, message), box);
    for (const point of SMALL_ORDER) {
      assert.throws(() => crypto.boxSeal(privateKey, hex(point), nonce, message), CryptoError, point);
    }
  });

  test('Salsa20-Poly1305 under the second key is the same box (relay.md §5)', () => {
    assert.deepEqual(crypto.salsa20Poly1305Seal(secondKey, nonce.subarray(16), message), box);
  });

  test('wrong lengths are refused', () => {
    const [short, long] = [counting(1, 31), counting(1, 33)];
    for (const key of [short, long]) {
      assert.throws(() => crypto.secretboxSeal(key, nonce, message), CryptoError);
      assert.throws(() => crypto.secretboxOpen(key, nonce, box), CryptoError);
      assert.throws(() => crypto.salsa20Poly1305Seal(key, nonce.subarray(16), message), CryptoError);
      assert.throws(() => crypto.hsalsa20(key, nonce.subarray(0, 16)), CryptoError);
      assert.throws(() => crypto.boxSeal(key, firstKey, nonce, message), CryptoError);
      assert.throws(() => crypto.boxSeal(firstKey, key, nonce, message), CryptoError);
      assert.throws(() => crypto.x25519(key, firstKey), CryptoError);
      assert.throws(() => crypto.x25519(firstKey, key), CryptoError);
      assert.throws(() => crypto.x25519PublicKey(key), CryptoError);
      assert.throws(() => crypto.ed25519KeyPair(key), CryptoError);
      assert.throws(() => crypto.ed25519Sign(key, message), CryptoError);
      assert.throws(() => crypto.ed25519Verify(key, message, new Uint8Array(64)), CryptoError);
      assert.throws(() => crypto.chacha20Poly1305Seal(key, nonce.subarray(12), NONE, message), CryptoError);
      assert.throws(() => crypto.xchacha20Poly1305Open(key, nonce, NONE, box), CryptoError);
    }
    assert.throws(() => crypto.secretboxSeal(firstKey, nonce.subarray(1), message), CryptoError);
    assert.throws(() => crypto.boxSeal(firstKey, secondKey, nonce.subarray(1), message), CryptoError);
    assert.throws(() => crypto.chacha20Poly1305Seal(firstKey, nonce, NONE, message), CryptoError);
  });
}

function ed25519Tests(crypto: Crypto): void {
  test('Ed25519: RFC 8032', () => {
    for (const [seed, publicKey, message, signature] of ED25519) {
      const pair = crypto.ed25519KeyPair(hex(seed));
      assert.deepEqual(pair.publicKey, hex(publicKey));
      assert.deepEqual(pair.privateKey, concat(hex(seed), hex(publicKey)));
      assert.deepEqual(crypto.ed25519Sign(pair.privateKey, hex(message)), hex(signature));
      assert.equal(crypto.ed25519Verify(pair.publicKey, hex(message), hex(signature)), true);
    }
  });

  test('Ed25519: what is not the signature is refused', () => {
    const { publicKey, privateKey } = crypto.ed25519KeyPair();
    const signature = crypto.ed25519Sign(privateKey, SUNSCREEN);
    assert.equal(crypto.ed25519Verify(publicKey, SUNSCREEN, signature), true);
    for (let i = 0; i < signature.length; i++) {
      assert.equal(crypto.ed25519Verify(publicKey, SUNSCREEN, flipped(signature, i)), false);
    }
    assert.equal(crypto.ed25519Verify(publicKey, SUNSCREEN.subarray(1), signature), false);
    for (const wrong of [NONE, signature.subarray(1), concat(signature, NONE, Uint8Array.of(0))]) {
      assert.equal(crypto.ed25519Verify(publicKey, SUNSCREEN, wrong), false);
    }
    assert.equal(crypto.ed25519Verify(new Uint8Array(32), SUNSCREEN, signature), false);
  });

  test('Ed25519: fresh pairs differ', () => {
    assert.notDeepEqual(crypto.ed25519KeyPair(), crypto.ed25519KeyPair());
  });
}

function aeadTests(crypto: Crypto): void {
  const key = counting(0x80, 32);
  const aad = hex('50515253c0c1c2c3c4c5c6c7');

  test('ChaCha20-Poly1305: RFC 8439 §2.8.2', () => {
    const nonce = hex('070000004041424344454647');
    const box =
      hex(`d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b
      1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc
      3ff4def08e4b7a9de576d26586cec64b6116 1ae10b594f09e26a7e902ecbd0600691`);
    assert.deepEqual(crypto.chacha20Poly1305Seal(key, nonce, aad, SUNSCREEN), box);
    assert.deepEqual(crypto.chacha20Poly1305Open(key, nonce, aad, box), SUNSCREEN);
    refusesForgeries(box, aad, (b, a) => crypto.chacha20Poly1305Open(key, nonce, a, b));
  });

  test('XChaCha20-Poly1305: draft-irtf-cfrg-xchacha-03 §A.3.1', () => {
    const nonce = counting(0x40, 24);
    const box =
      hex(`bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39
      ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9
      21f9664c97637da9768812f615c68b13b52e c0875924c1c7987947deafd8780acf49`);
    assert.deepEqual(crypto.xchacha20Poly1305Seal(key, nonce, aad, SUNSCREEN), box);
    assert.deepEqual(crypto.xchacha20Poly1305Open(key, nonce, aad, box), SUNSCREEN);
    refusesForgeries(box, aad, (b, a) => crypto.xchacha20Poly1305Open(key, nonce, a, b));
  });

  test('nothing, sealed with nothing beside it, opens as nothing', () => {
    const nonce = new Uint8Array(12);
    const box = crypto.chacha20Poly1305Seal(key, nonce, NONE, NONE);
    assert.equal(box.length, 16);
    assert.deepEqual(crypto.chacha20Poly1305Open(key, nonce, NONE, box), NONE);
  });
}

function hashTests(crypto: Crypto): void {
  test('HKDF-SHA256: RFC 5869 A.1 and A.3', () => {
    const ikm = hex('0b'.repeat(22));
    assert.deepEqual(
      crypto.hkdfSha256(counting(0, 13), ikm, counting(0xf0, 10), 42),
      hex('3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865'),
    );
    assert.deepEqual(
      crypto.hkdfSha256(NONE, ikm, NONE, 42),
      hex('8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8'),
    );
  });

  test('HKDF-SHA512: the first steps of a block encryption chain (guide Appendix 3)', () => {
    const shared = hex('c9ea6a3f79a000b60b076d4afc990b272f3f0b5aaa3f0b8713c209273e363863');
    const okm = crypto.hkdfSha512(counting(0xc8, 32), shared, utf8('SimpleXSbChainInit'), 64);
    assert.deepEqual(
      okm,
      hex(`29d49a40a9cdb69fa8a4f54d87978948bc14eb02476e9f797d4df04617566728
        9ee0ea3fae16641da4570e9cf1c2f69f3987dd5e68ea53370f9d5371b946c7b7`),
    );
    assert.deepEqual(
      crypto.hkdfSha512(NONE, okm.subarray(32), utf8('SimpleXSbChain'), 88),
      hex(`79143b282453a1d13f14c1476b0d40852b3eb03a7b9ce2d44ab9bbdf9fbe0b7e
        8d4eed79262a5113cd199d0bbd9b92e1d89491abb0dd475b1fb8901062921eec
        df2b688a662d7c9fad7460706238010b3b237059c0f56f24`),
    );
  });

  test('hashes of parts are hashes of the whole', () => {
    const abc = [utf8('a'), NONE, utf8('bc')];
    const sha256 = hex('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    assert.deepEqual(crypto.sha256(...abc), sha256);
    assert.deepEqual(crypto.sha256(utf8('abc')), sha256);
    assert.deepEqual(crypto.sha512(...abc), crypto.sha512(utf8('abc')));
    assert.deepEqual(crypto.md5(...abc), hex('900150983cd24fb0d6963f7d28e17f72'));
    assert.deepEqual(
      crypto.sha256(),
      hex('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'),
    );
    // RFC 4231, case 2
    assert.deepEqual(
      crypto.hmacSha256(utf8('Jefe'), utf8('what do ya want '), utf8('for nothing?')),
      hex('5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'),
    );
  });

  test('keyed hash', () => {
    // hashlib.blake2b(bytes(range(9)), key=bytes(range(32)), digest_size=16) of Python
    const hash = hex('7350f180996fd770d7fbf3f590b92551');
    assert.deepEqual(crypto.keyedHash(counting(0, 32), counting(0, 9)), hash);
    assert.notDeepEqual(crypto.keyedHash(counting(1, 32), counting(0, 9)), hash);
    assert.throws(() => crypto.keyedHash(counting(0, 31), NONE), CryptoError);
  });

  test('comparison in constant time', () => {
    assert.equal(crypto.equal(counting(1, 9), counting(1, 9)), true);
    assert.equal(crypto.equal(counting(1, 9), counting(2, 9)), false);
    assert.equal(crypto.equal(counting(1, 9), counting(1, 8)), false);
    assert.equal(crypto.equal(NONE, NONE), true);
  });
}

/** Results belong to the caller alone: wiping one must wipe all of it, and nothing else. */
function memoryTests(crypto: Crypto): void {
  test('results are plain arrays over memory of their own, outside the heap of V8', () => {
    const key = counting(1, 32);
    const results = {
      randomBytes: crypto.randomBytes(24),
      x25519: crypto.x25519(key, crypto.x25519PublicKey(key)),
      hsalsa20: crypto.hsalsa20(key, key.subarray(16)),
      secretboxSeal: crypto.secretboxSeal(key, counting(0, 24), SUNSCREEN),
      boxSeal: crypto.boxSeal(key, crypto.x25519PublicKey(key), counting(0, 24), SUNSCREEN),
      salsa20Poly1305Seal: crypto.salsa20Poly1305Seal(key, counting(0, 8), SUNSCREEN),
      chacha20Poly1305Seal: crypto.chacha20Poly1305Seal(key, counting(0, 12), NONE, SUNSCREEN),
      hkdfSha256: crypto.hkdfSha256(NONE, key, NONE, 32),
      keyedHash: crypto.keyedHash(key, NONE),
      sha256: crypto.sha256(key),
      ...crypto.ed25519KeyPair(key),
    };
    for (const [name, result] of Object.entries(results)) {
      assert.equal(Object.getPrototypeOf(result), Uint8Array.prototype, name);
      assert.equal(result.buffer.byteLength, result.length, name);
    }
  });

  test('random bytes: any length, never twice', () => {
    const seen = new Set<string>();
    for (let i = 0; i < 2000; i++) seen.add(crypto.randomBytes(24).join());
    assert.equal(seen.size, 2000);
    for (const n of [0, 1, 256, 257, 100_000]) {
      const bytes = crypto.randomBytes(n);
      assert.equal(bytes.length, n);
      if (n >= 256) assert.ok(new Set(bytes).size > 100);
    }
  });
}

function flipped(bytes: Uint8Array, i: number): Uint8Array {
  const copy = bytes.slice();
  copy[i]! ^= 1;
  return copy;
}

function refusesForgeries(
  box: Uint8Array,
  aad: Uint8Array,
  open: (box: Uint8Array, aad: Uint8Array) => Uint8Array | undefined,
): void {
  for (let i = 0; i < box.length; i += 5) assert.equal(open(flipped(box, i), aad), undefined);
  for (let cut = 0; cut < 17; cut++) assert.equal(open(box.subarray(0, cut), aad), undefined);
  assert.equal(open(box, flipped(aad, 0)), undefined);
  assert.equal(open(box, NONE), undefined);
}
