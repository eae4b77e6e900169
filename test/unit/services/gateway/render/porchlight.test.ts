import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PayloadTooLarge } from '../../../../../services/gateway/render/bodies.js';
import { createPorchlightProfile } from '../../../../../services/gateway/render/porchlight.js';

const profile = createPorchlightProfile({ visible_text: 'Something waits' });
const nonce = new Uint8Array(24).fill(0xfb);
const box = new Uint8Array(2928).fill(0xff);
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();
const data = (kind: string) =>
  `"porchlight":{"nonce":"${'-_v7'.repeat(8)}","${kind}":"${'_'.repeat(3904)}"}}`;

describe('profile porchlight', () => {
  test('a message that the app rewrites, with the operator’s words', () => {
    assert.equal(
      text(profile.message(nonce, box)),
      `{"aps":{"mutable-content":1,"alert":"Something waits"},${data('message')}`,
    );
  });

  test('a category only where it is set', () => {
    const named = createPorchlightProfile({ visible_text: 'x', category: 'MESSAGE' });
    assert.equal(JSON.parse(text(named.message(nonce, box))).aps.category, 'MESSAGE');
  });

  test('a silent message and a verification show nothing', () => {
    assert.equal(
      text(profile.silentMessage!(nonce, box)),
      `{"aps":{"content-available":1},${data('message')}`,
    );
    assert.equal(
      text(profile.verification(nonce, box)),
      `{"aps":{"content-available":1},${data('verification')}`,
    );
  });

  test('check and alert hold nothing of a frame', () => {
    assert.equal(text(profile.check), '{"aps":{"content-available":1}}');
    assert.equal(text(profile.alert), '{"aps":{"alert":"Something waits"}}');
  });

  test('a text that makes a push too large refuses the start', () => {
    const free = 4096 - profile.message(nonce, box).length;
    assert.ok(free > 40);
    const visible_text = `Something waits${'!'.repeat(free)}`;
    assert.equal(createPorchlightProfile({ visible_text }).message(nonce, box).length, 4096);
    assert.throws(() => createPorchlightProfile({ visible_text: `${visible_text}!` }), PayloadTooLarge);
  });
});
