import assert from 'node:assert/strict';
import { test } from 'node:test';
import { uniform } from '../../../../shared/crypto/uniform.js';

const drawn = (...bytes: number[]): number => uniform({ randomBytes: () => Uint8Array.from(bytes) })();

test('32 random bits are a number from 0 to just below 1', () => {
  assert.equal(drawn(0, 0, 0, 0), 0);
  assert.equal(drawn(0x80, 0, 0, 0), 0.5);
  assert.equal(drawn(0xff, 0xff, 0xff, 0xff), 1 - 2 ** -32);
});
