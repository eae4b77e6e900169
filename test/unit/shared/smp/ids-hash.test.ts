import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadCrypto } from '../../../../shared/crypto/load.js';
import { toHex, utf8 } from '../../../../shared/encoding/bytes.js';
import { IDS_HASH_SIZE } from '../../../../shared/smp/constants.js';
import { toggleId } from '../../../../shared/smp/ids-hash.js';

const crypto = await loadCrypto();

test('one id is its MD5; the order does not matter, and what is taken out again leaves nothing', () => {
  const hash = new Uint8Array(IDS_HASH_SIZE);
  toggleId(crypto, hash, utf8('abc'));
  assert.equal(toHex(hash), '900150983cd24fb0d6963f7d28e17f72'); // RFC 1321, A.5
  toggleId(crypto, hash, utf8('other'));
  toggleId(crypto, hash, utf8('abc'));
  toggleId(crypto, hash, utf8('other'));
  assert.deepEqual(hash, new Uint8Array(IDS_HASH_SIZE));
});
