import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { Crypto } from '../../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../../shared/crypto/load.js';
import { fromHex, toHex } from '../../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../../shared/encoding/reader.js';
import { messageKey, verificationKey } from '../../../../shared/push/keys.js';
import {
  decodePush,
  ENTRY_SIZE,
  encodePush,
  HEADER_SIZE,
  type PorchlightPush,
  type PushEntry,
  SIGNAL_CLASSES,
  writePush,
} from '../../../../shared/push/porchlight-profile.js';
import { naclCrypto } from '../../../../shared/sdk/nacl.js';
import { ownVector } from '../../../support/paths.js';

interface Vector {
  readonly secret: string;
  readonly messageKey: string;
  readonly verificationKey: string;
  readonly messages: readonly {
    readonly push: {
      readonly flags: number;
      readonly epoch: number;
      readonly sequence: number;
      readonly time: number;
      readonly entries: readonly {
        readonly subscriptionId: string;
        readonly sequence: number;
        readonly class: number;
        readonly time: number;
        readonly nonce?: string;
        readonly metadata?: string;
      }[];
    };
    readonly plaintext: string;
    readonly nonce: string;
    readonly box: string;
  }[];
  readonly verification: { readonly nonce: string; readonly m: string };
}

const bytes = (hex: string): Uint8Array => fromHex(hex)!;
const v = ownVector<Vector>('porchlight-push');

function pushOf({ flags, entries, ...rest }: Vector['messages'][0]['push']): PorchlightPush {
  return {
    ...rest,
    overflow: (flags & 1) !== 0,
    maybeMissed: (flags & 2) !== 0,
    check: (flags & 4) !== 0,
    entries: entries.map(({ subscriptionId, sequence, time, nonce, metadata, ...entry }) => ({
      subscriptionId: bytes(subscriptionId),
      sequence,
      class: SIGNAL_CLASSES[entry.class]!,
      time,
      ...(nonce && metadata && { sealed: { nonce: bytes(nonce), metadata: bytes(metadata) } }),
    })),
  };
}

let native: Crypto;
before(async () => {
  native = await loadCrypto();
});

describe('profile porchlight', () => {
  test('vectors, both ways', () => {
    for (const { push, plaintext } of v.messages) {
      assert.equal(toHex(encodePush(pushOf(push))), plaintext);
      assert.deepEqual(decodePush(bytes(plaintext)), pushOf(push));
    }
  });

  test('keys and boxes are the same on both sides', () => {
    for (const crypto of [native, naclCrypto]) {
      const key = messageKey(crypto, bytes(v.secret));
      assert.equal(toHex(key), v.messageKey);
      assert.equal(toHex(verificationKey(crypto, bytes(v.secret))), v.verificationKey);
      for (const { plaintext, nonce, box } of v.messages) {
        assert.equal(toHex(crypto.secretboxSeal(key, bytes(nonce), bytes(plaintext))), box);
      }
      const { nonce, m } = v.verification;
      assert.equal(toHex(crypto.hsalsa20(bytes(v.verificationKey), bytes(nonce).slice(0, 16))), m);
    }
  });

  test('the key of a verification box opens no message with the same nonce', () => {
    const { nonce, box } = v.messages[1]!;
    assert.equal(native.secretboxOpen(bytes(v.verificationKey), bytes(nonce), bytes(box)), undefined);
  });

  test('an array that held another push holds nothing of it', () => {
    const out = encodePush(pushOf(v.messages[3]!.push));
    writePush(pushOf(v.messages[1]!.push), out);
    assert.equal(toHex(out), v.messages[1]!.plaintext);
  });

  const good = bytes(v.messages[1]!.plaintext);
  const changed = (at: number, byte: number): Uint8Array => {
    const out = good.slice();
    out[at] = byte;
    return out;
  };
  const broken: [string, Uint8Array][] = [
    ['another version', changed(0, 2)],
    ['an unknown flag', changed(1, 8)],
    ['too many entries', changed(2, 15)],
    ['a count without its entry', changed(2, 0)],
    ['reserved bytes of the header', changed(3, 1)],
    ['reserved bytes of the header', changed(15, 1)],
    ['an unknown class', changed(HEADER_SIZE + 28, 2)],
    ['a bare entry with metadata', changed(HEADER_SIZE + 28, 128)],
    ['a time beyond all numbers', changed(HEADER_SIZE + 29, 0x7f)],
    ['bytes of an entry that is not counted', changed(HEADER_SIZE + ENTRY_SIZE, 1)],
    ['bytes behind the entries', changed(good.length - 1, 1)],
    ['a byte too few', good.subarray(1)],
    ['a byte too many', new Uint8Array(good.length + 1)],
  ];
  for (const [what, plaintext] of broken) {
    test(`refuses ${what}`, () => assert.throws(() => decodePush(plaintext), DecodeError));
  }

  test('the encoder takes nothing of another size', () => {
    const push = pushOf(v.messages[1]!.push);
    const [entry] = push.entries as [PushEntry];
    const { nonce, metadata } = entry.sealed!;
    const wrong: PushEntry[] = [
      { ...entry, subscriptionId: nonce.subarray(1) },
      { ...entry, sealed: { nonce, metadata: metadata.subarray(1) } },
      { ...entry, sealed: { nonce: nonce.subarray(1), metadata } },
    ];
    for (const e of wrong) assert.throws(() => encodePush({ ...push, entries: [e] }), RangeError);
    assert.throws(() => encodePush({ ...push, entries: Array(15).fill(entry) }), RangeError);
    assert.throws(() => writePush(push, new Uint8Array(2911)), RangeError);
  });
});
