import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { OpenCapability } from '../../../../../services/gateway/capabilities/capability.js';
import { type FrameKeys, Tickets } from '../../../../../services/gateway/redis/ticket.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';

const crypto = await loadCrypto();
const bytes = (size: number, value: number): Uint8Array => new Uint8Array(size).fill(value);
const day = bytes(32, 1);

const OPEN = {
  proven: true,
  environment: 'production',
  appTag: bytes(8, 2),
  subscriberTag: bytes(16, 3),
  token: bytes(32, 4),
} as const;

/** Names of a frame, of which one thing may be another's. */
function namesOf(changes: Partial<OpenCapability> = {}, id = bytes(16, 5), key = day): FrameKeys {
  const open = { ...OPEN, ...changes } as OpenCapability;
  return new Tickets(crypto, 'p:', true).keys({ id, open, kind: 'message', onNew: () => {} }, key);
}

describe('names in Redis', () => {
  const same = namesOf();

  test('are the same at every gateway', () => {
    assert.deepEqual(namesOf(), same);
  });

  for (const [what, other] of Object.entries({
    app: namesOf({ appTag: bytes(8, 9) }),
    environment: namesOf({ environment: 'sandbox' }),
    token: namesOf({ token: bytes(32, 9) }),
    'length of token': namesOf({ token: bytes(33, 4) }),
    day: namesOf({}, bytes(16, 5), bytes(32, 9)),
  })) {
    test(`another ${what} is another device`, () => {
      const all = [same, other].flatMap(({ tag, id, buckets, row }) => [tag, id, row, ...buckets]);
      assert.equal(new Set(all).size, all.length);
    });
  }

  test('another subscriber of the same device has its own buckets and frames beside the common ones', () => {
    const other = namesOf({ subscriberTag: bytes(16, 9) });
    assert.equal(other.tag, same.tag);
    assert.notEqual(other.id, same.id);
    assert.notEqual(other.row, same.row);
    const common = other.buckets.filter((bucket) => same.buckets.includes(bucket));
    assert.equal(common.length, other.buckets.length / 2);
  });

  test('another frame has only its id for itself', () => {
    const other = namesOf({}, bytes(16, 9));
    assert.notEqual(other.id, same.id);
    assert.deepEqual({ ...other, id: same.id }, same);
  });
});
