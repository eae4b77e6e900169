import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { BlockBuffer } from '../../../../../services/subscriber/clients/block-buffer.js';
import { concat } from '../../../../../shared/encoding/bytes.js';

describe('block buffer', () => {
  it('collects the same blocks whatever the chunks are, and overwrites them', () => {
    const chunks = fc.array(fc.uint8Array({ maxLength: 40 }));
    fc.assert(
      fc.property(chunks, (parts) => {
        const buffer = new BlockBuffer(8);
        const blocks: Uint8Array[] = [];
        for (const part of parts) {
          for (let used = 0; used < part.length; ) {
            used += buffer.fill(part.subarray(used));
            if (!buffer.full) continue;
            blocks.push(buffer.bytes.slice());
            buffer.clear();
            assert.deepEqual(buffer.bytes, new Uint8Array(8));
          }
        }
        const all = concat(...parts);
        assert.deepEqual(concat(...blocks), all.subarray(0, all.length - (all.length % 8)));
      }),
    );
  });
});
