import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { Crypto } from '../../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../../shared/crypto/load.js';
import { fromHex, toHex, utf8 } from '../../../../shared/encoding/bytes.js';
import {
  contentDigest,
  parseSignature,
  type SignedRequest,
  signatureBase,
  signRequest,
  verifySignature,
} from '../../../../shared/relay/signature.js';
import { ownVector } from '../../../support/paths.js';

interface SignatureVector {
  readonly seed: string;
  readonly publicKey: string;
  readonly created: number;
  readonly nonce: string;
  readonly fingerprint: string;
  readonly authority: string;
  readonly path: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

const v = ownVector<SignatureVector>('relay-signature');
const input = v.headers['signature-input']!;
const signature = v.headers.signature!;
const request: SignedRequest = {
  method: 'POST',
  authority: v.authority,
  path: v.path,
  query: '?',
  contentType: v.headers['content-type']!,
  contentDigest: v.headers['content-digest']!,
  gateway: v.fingerprint,
};

let crypto: Crypto;
before(async () => {
  crypto = await loadCrypto();
});

test('RFC 9421 B.2.6: signature base and Ed25519', () => {
  const names = ['date', '@method', '@path', '@authority', 'content-type', 'content-length'];
  const params = `(${names.map((n) => `"${n}"`).join(' ')});created=1618884473;keyid="test-key-ed25519"`;
  const values = ['Tue, 20 Apr 2021 02:07:55 GMT', 'POST', '/foo', 'example.com', 'application/json', '18'];
  const base = signatureBase(
    names.map((name, i) => [name, values[i]!]),
    params,
  );
  const key = Buffer.from('JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=', 'base64');
  const expected = 'wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==';
  assert.ok(crypto.ed25519Verify(key, utf8(base), Buffer.from(expected, 'base64')));
});

describe('signed request', () => {
  test('of another implementation verifies', () => {
    const parsed = parseSignature(input, signature);
    assert.ok(parsed);
    assert.equal(parsed.created, v.created);
    assert.equal(toHex(parsed.nonce), v.nonce);
    assert.equal(toHex(parsed.publicKey), v.publicKey);
    assert.ok(verifySignature(crypto, parsed, request));
    assert.equal(contentDigest(crypto, fromHex(v.body)!), v.headers['content-digest']);
  });

  test('of ours has the same headers, but for the nonce', () => {
    const fixed = { ...crypto, randomBytes: () => fromHex(v.nonce)! };
    const key = crypto.ed25519KeyPair(fromHex(v.seed)!);
    const outgoing = { authority: v.authority, path: v.path, body: fromHex(v.body)!, gateway: v.fingerprint };
    assert.deepEqual(signRequest(fixed, key, outgoing, v.created), v.headers);
  });

  for (const part of Object.keys(request) as (keyof SignedRequest)[]) {
    test(`does not verify with another ${part}`, () => {
      const parsed = parseSignature(input, signature)!;
      assert.ok(!verifySignature(crypto, parsed, { ...request, [part]: `${request[part]}x` }));
    });
  }

  test('does not verify with another time, nonce or key', () => {
    for (const [from, to] of [
      ['created=1800000000', 'created=1800000001'],
      ['nonce="', 'nonce="A'],
      ['keyid="', 'keyid="A'],
    ] as const) {
      const changed = input.replace(`${from}`, to);
      // One character more would change the length: take one away at the end of the value.
      const text = from.startsWith('created')
        ? changed
        : changed.replace(/(nonce|keyid)="A([^"]*).("|$)/, '$1="A$2"');
      const parsed = parseSignature(text, signature);
      assert.ok(parsed === undefined || !verifySignature(crypto, parsed, request), from);
    }
  });

  test('parameters may stand in another order', () => {
    const swapped = input.replace(/(;created=\d+)(;nonce="[^"]*")/, '$2$1');
    assert.notEqual(swapped, input);
    assert.equal(parseSignature(swapped, signature)?.created, v.created);
  });

  const refused: Record<string, [string, string]> = {
    'no headers': ['', ''],
    'a component missing': [input.replace('"@query" ', ''), signature],
    'a component more': [input.replace('"@query"', '"@query" "date"'), signature],
    'a parameter missing': [input.replace(/;nonce="[^"]*"/, ''), signature],
    'a parameter twice': [`${input};created=1`, signature],
    'an unknown parameter': [`${input};expires=1`, signature],
    'another algorithm': [input.replace('ed25519', 'hmac-sha256'), signature],
    'another tag': [input.replace('porchlight-relay-v1', 'other'), signature],
    'a time in quotes': [input.replace('1800000000', '"1800000000"'), signature],
    'two signatures': [`${input}, ${input.replace('relay', 'other')}`, signature],
    'another label': [input, signature.replace('relay', 'other')],
    'a short signature': [input, `${signature.slice(0, -9)}:`],
    base64url: [input, signature.replace(/[+/]/g, '-')],
    'a long header': [`${input};a="${'x'.repeat(2000)}"`, signature],
  };
  for (const [what, [i, s]] of Object.entries(refused)) {
    test(`refuses ${what}`, () => {
      if (what === 'base64url') assert.notEqual(s, signature);
      assert.equal(parseSignature(i, s), undefined);
    });
  }
});
