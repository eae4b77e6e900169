/** Round trips, and random bytes: a codec of the relay contract throws `DecodeError` or nothing. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import fc from 'fast-check';
import {
  capabilityKeyId,
  openCapability,
  sealCapability,
} from '../../../services/gateway/capabilities/capability.js';
import type { Epoch } from '../../../services/gateway/capabilities/epochs.js';
import {
  decodeEntry,
  ENTRY_POOLS,
  encodeEntry,
} from '../../../services/gateway/capabilities/revocation-store.js';
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../shared/crypto/load.js';
import { concat } from '../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../shared/encoding/reader.js';
import {
  decodeAnswer,
  decodeBatch,
  encodeAnswer,
  encodeBatch,
  FRAME_KINDS,
  type Frame,
  OUTCOMES,
  type Outcome,
  type OutcomeKind,
} from '../../../shared/relay/batch.js';
import {
  ENVIRONMENTS,
  formatGatewayAddress,
  gatewayFingerprint,
  parseGatewayAddress,
} from '../../../shared/relay/identity.js';
import { PROBLEM_CODES, parseProblem, problemBody } from '../../../shared/relay/problem.js';
import {
  encodeSealedRevocation,
  openSealedRevocation,
  sealedRevocationKeyId,
} from '../../../shared/relay/revocation.js';
import { sealRecord } from '../../../shared/relay/sealed-record.js';
import {
  encodeSealedToken,
  openSealedToken,
  sealedTokenKeyId,
  type TokenFields,
} from '../../../shared/relay/sealed-token.js';
import {
  contentDigest,
  parseSignature,
  signRequest,
  verifySignature,
} from '../../../shared/relay/signature.js';
import { checkStatement, signStatement } from '../../../shared/relay/statement.js';
import {
  codeSlot,
  decodeVerificationPayload,
  encodeVerificationPayload,
  makeCode,
} from '../../../shared/relay/verification.js';

const RUNS = process.env.SLOW === '1' ? 5000 : 150;
/** Objects as the codecs make them. */
const PLAIN = { noNullPrototype: true } as const;
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const check = <T>(arbitrary: fc.Arbitrary<T>, property: (value: T) => void, runs = RUNS): void =>
  fc.assert(fc.property(arbitrary, property), { numRuns: runs, endOnFailure: true });

let crypto: Crypto;
before(async () => {
  crypto = await loadCrypto();
});

/** Bytes of any length, and of the very length that passes the first check. */
const nearly = (length: number) => fc.oneof(fc.uint8Array({ maxLength: 600 }), bytes(length));

function onlyDecodeError(run: () => void): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
  }
}

const frame: fc.Arbitrary<Frame> = fc.record(
  {
    id: bytes(16),
    kind: fc.constantFrom(...FRAME_KINDS),
    urgent: fc.boolean(),
    slot: fc.integer({ min: 0, max: 255 }),
    expiry: u32,
    capability: bytes(256),
    nonce: bytes(24),
    payload: bytes(2928),
  },
  PLAIN,
);

const outcome = fc.constantFrom(...(Object.keys(OUTCOMES) as OutcomeKind[])).chain((kind) =>
  fc.record(
    {
      kind: fc.constant(kind),
      reason: fc.constantFrom<string>(...OUTCOMES[kind]),
      after: u32,
      capability: bytes(256),
    },
    { requiredKeys: ['kind', 'reason', 'after'], ...PLAIN },
  ),
) as fc.Arbitrary<Outcome>;

const tokenFields: fc.Arbitrary<TokenFields> = fc.record(
  {
    environment: fc.constantFrom(...ENVIRONMENTS),
    appTag: bytes(8),
    createdAt: u32,
    subscriberTag: bytes(16),
    ownerKey: bytes(32),
    token: fc.uint8Array({ minLength: 1, maxLength: 100 }),
  },
  PLAIN,
);

describe('batch', () => {
  test('round trip', () => {
    check(
      fc.array(frame, { maxLength: 4 }),
      (frames) => assert.deepEqual(decodeBatch(encodeBatch(frames)), frames),
      30,
    );
    check(fc.tuple(fc.nat(0xffff), outcome), ([index, o]) =>
      assert.deepEqual(decodeAnswer(encodeAnswer(index, o)), { index, outcome: o }),
    );
  });

  test('random bytes', () => {
    check(nearly(8 + 3232), (input) => onlyDecodeError(() => decodeBatch(input)));
    const header = Uint8Array.of(1, 0, 0, 1, 0, 0, 0x0c, 0xa0);
    check(bytes(3232), (input) => onlyDecodeError(() => decodeBatch(concat(header, input))));
    check(nearly(272), (input) => onlyDecodeError(() => decodeAnswer(input)));
  });
});

describe('sealed token', () => {
  test('round trip', () => {
    const { publicKey, privateKey } = crypto.x25519KeyPair();
    check(
      fc.tuple(bytes(4), tokenFields),
      ([keyId, fields]) => {
        const sealed = encodeSealedToken(crypto, { keyId, publicKey }, fields);
        assert.deepEqual(concat(sealedTokenKeyId(sealed)), keyId);
        assert.deepEqual(openSealedToken(crypto, privateKey, sealed), fields);
      },
      50,
    );
  });

  test('random bytes', () => {
    const { privateKey } = crypto.x25519KeyPair();
    check(nearly(229), (input) => onlyDecodeError(() => openSealedToken(crypto, privateKey, input)));
    check(
      bytes(228),
      (input) => {
        assert.equal(openSealedToken(crypto, privateKey, concat(Uint8Array.of(1), input)), undefined);
      },
      50,
    );
  });
});

describe('sealed revocation', () => {
  test('round trip', () => {
    const { publicKey, privateKey } = crypto.x25519KeyPair();
    check(
      fc.tuple(bytes(4), bytes(32), tokenFields),
      ([keyId, seed, { ownerKey: _, ...fields }]) => {
        const owner = crypto.ed25519KeyPair(seed);
        const sealed = encodeSealedRevocation(crypto, { keyId, publicKey }, owner, fields);
        assert.deepEqual(concat(sealedRevocationKeyId(sealed)), keyId);
        const opened = openSealedRevocation(crypto, privateKey, sealed);
        assert.deepEqual(opened, { ...fields, ownerKey: owner.publicKey });
      },
      50,
    );
  });

  test('random bytes, also as the plaintext of a genuine seal', () => {
    const { publicKey, privateKey } = crypto.x25519KeyPair();
    const open = (input: Uint8Array) =>
      onlyDecodeError(() => openSealedRevocation(crypto, privateKey, input));
    check(nearly(293), open);
    const key = { keyId: new Uint8Array(4), publicKey };
    check(bytes(240), (plaintext) => open(sealRecord(crypto, key, { version: 2, size: 240 }, plaintext)), 50);
  });
});

describe('entries of the revoked set', () => {
  test('round trip and random bytes', () => {
    const pool = fc.constantFrom(...ENTRY_POOLS);
    check(fc.record({ pool, time: u32, lookup: u32, hash: bytes(20) }, PLAIN), (entry) =>
      assert.deepEqual(decodeEntry(encodeEntry(entry)), entry),
    );
    check(nearly(32), (input) => onlyDecodeError(() => decodeEntry(input)));
  });
});

describe('capability', () => {
  const epochOf = (): Epoch => ({
    keyId: crypto.randomBytes(4),
    start: 0,
    capabilityKey: crypto.randomBytes(32),
    codeKey: crypto.randomBytes(32),
  });

  test('round trip', () => {
    const epoch = epochOf();
    const times = { createdAt: u32, issued: u32, provenAt: u32, expires: u32 };
    const rest = fc.record({ ...times, proven: fc.boolean(), id: bytes(16) });
    check(fc.tuple(tokenFields, rest), ([fields, more]) => {
      const sealed = sealCapability(crypto, epoch, { ...fields, ...more });
      const opened = openCapability(crypto, epoch, sealed);
      for (const [name, value] of Object.entries({ ...fields, ...more })) {
        const found = opened[name as keyof typeof opened];
        assert.deepEqual(found instanceof Uint8Array ? concat(found) : found, value, name);
      }
    });
  });

  test('random bytes, also as the plaintext of a genuine seal', () => {
    const epoch = epochOf();
    check(nearly(256), (input) =>
      onlyDecodeError(() => {
        capabilityKeyId(input);
        openCapability(crypto, epoch, input);
      }),
    );
    check(fc.tuple(bytes(24), bytes(211)), ([nonce, plaintext]) => {
      const aad = concat(Uint8Array.of(1), epoch.keyId);
      const box = crypto.xchacha20Poly1305Seal(epoch.capabilityKey, nonce, aad, plaintext);
      onlyDecodeError(() => openCapability(crypto, epoch, concat(aad, nonce, box)));
    });
  });
});

describe('verification', () => {
  test('payload and code, round trip and random bytes', () => {
    check(bytes(32), (m) =>
      assert.deepEqual(concat(decodeVerificationPayload(encodeVerificationPayload(m))), m),
    );
    check(nearly(2928), (input) => onlyDecodeError(() => decodeVerificationPayload(input)));
    check(fc.tuple(bytes(32), bytes(16), u32), ([key, id, slot]) =>
      assert.equal(codeSlot(makeCode(crypto, key, id, slot)), slot),
    );
    check(nearly(32), (input) => onlyDecodeError(() => codeSlot(input)));
  });
});

describe('texts', () => {
  test('signed requests verify, whatever their parts', () => {
    const key = crypto.ed25519KeyPair();
    const word = fc.stringMatching(/^[a-z0-9./:-]{1,40}$/);
    check(
      fc.tuple(word, word, fc.uint8Array({ maxLength: 64 }), fc.nat(0x7fffffff)),
      ([authority, path, body, created]) => {
        const headers = signRequest(crypto, key, { authority, path, body, gateway: 'g' }, created);
        const parsed = parseSignature(headers['signature-input']!, headers.signature!)!;
        assert.equal(parsed.created, created);
        const request = {
          method: 'POST',
          authority,
          path,
          query: '?',
          contentType: headers['content-type']!,
        };
        const digest = contentDigest(crypto, body);
        assert.ok(verifySignature(crypto, parsed, { ...request, contentDigest: digest, gateway: 'g' }));
        assert.ok(!verifySignature(crypto, parsed, { ...request, contentDigest: digest, gateway: 'h' }));
      },
      30,
    );
  });

  test('random texts parse to nothing, and never throw', () => {
    const text = fc.oneof(fc.string(), fc.json(), fc.webUrl());
    check(fc.tuple(text, text), ([a, b]) => assert.equal(parseSignature(a, b), undefined));
    check(text, (input) => assert.equal(parseGatewayAddress(input), undefined));
    check(text, (input) => assert.equal(parseProblem(input), undefined));
    check(text, (input) => {
      const result = checkStatement(crypto, input, { fingerprint: 'x', now: 0 });
      assert.deepEqual(result, { refused: 'malformed' });
    });
  });

  test('statements, whose inside is any JSON, are refused; problems and addresses come back', () => {
    const identity = crypto.ed25519KeyPair();
    const fingerprint = gatewayFingerprint(crypto, identity.publicKey);
    check(
      fc.dictionary(fc.constantFrom('issuedAt', 'apps', 'sealingKeys', 'versions'), fc.jsonValue()),
      (content) => {
        const document = signStatement(crypto, identity, content as never);
        checkStatement(crypto, document, { fingerprint, now: 0 });
      },
      50,
    );
    for (const code of PROBLEM_CODES) assert.equal(parseProblem(problemBody(code)), code);
    check(fc.tuple(fc.domain(), fc.integer({ min: 1, max: 65535 })), ([host, port]) => {
      const address = { fingerprint, host, port };
      assert.deepEqual(parseGatewayAddress(formatGatewayAddress(address)), address);
    });
  });
});
