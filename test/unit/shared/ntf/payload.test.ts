import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { latin1, utf8 } from '../../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../../shared/encoding/reader.js';
import { decodeItems, encodeItems } from '../../../../shared/ntf/payload.js';
import { RECORDED, recorded } from '../../../support/ntf-recorded.js';
import { vector } from '../../../support/paths.js';

interface MoreVectors {
  readonly ntf: Readonly<Record<string, { readonly messagePush: { readonly plaintext: string } }>>;
}

const more = Object.values(vector<MoreVectors>('more/smp-ntf-recorded').ntf).map(
  (s) => s.messagePush.plaintext,
);

describe('push payloads', () => {
  it('decodes recorded plaintexts and encodes them byte for byte', () => {
    for (const text of [...RECORDED.flatMap((name) => recorded(name).payloads), ...more]) {
      const items = decodeItems(utf8(text));
      assert.equal(items[0]?.metadata.length, 144);
      assert.equal(latin1(encodeItems(items)), text);
    }
  });

  it('joins up to six items, in order', () => {
    const [item] = decodeItems(utf8(more[0]!));
    const six = [1, 2, 3, 4, 5, 6].map((time) => ({ ...item!, time }));
    const plaintext = encodeItems(six);
    assert.deepEqual(decodeItems(plaintext), six);
    assert.throws(() => encodeItems([...six, item!]), RangeError);
    assert.throws(() => encodeItems([]), RangeError);
    assert.throws(() => decodeItems(utf8(`${latin1(plaintext)};${more[0]}`)), DecodeError);
  });

  it('refuses a plaintext with one bad item', () => {
    const good = more[0]!;
    const [queue, time, nonce, metadata] = good.split(' ');
    const bad = [
      '',
      `${good};`,
      `${good} `,
      `${good} x`,
      `${queue} ${time} ${nonce}`,
      `${queue} -1 ${nonce} ${metadata}`,
      `${queue} ${time} ${nonce!.slice(4)} ${metadata}`,
      `${queue} ${time} ${nonce} !${metadata}`,
      `nothing ${time} ${nonce} ${metadata}`,
    ];
    for (const text of bad) assert.throws(() => decodeItems(utf8(text)), DecodeError, text);
  });
});
