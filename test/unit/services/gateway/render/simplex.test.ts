import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PayloadTooLarge } from '../../../../../services/gateway/render/bodies.js';
import { createSimplexProfile } from '../../../../../services/gateway/render/simplex.js';

const texts = { visible_text: 'Encrypted message or another app event', category: 'NTF_CAT_CHECK_MESSAGE' };
const profile = createSimplexProfile(texts);
const nonce = new Uint8Array(24).fill(0xfb);
const box = new Uint8Array(2928).fill(0xff);
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

describe('profile simplex', () => {
  test('a message has 4,094 bytes, with the keys that stock apps open', () => {
    const body = profile.message(nonce, box);
    assert.equal(body.length, 4094);
    assert.equal(
      text(body),
      `{"aps":{"mutable-content":1,"alert":"${texts.visible_text}","category":"${texts.category}"},` +
        `"notificationData":{"nonce":"${'-_v7'.repeat(8)}","message":"${'_'.repeat(3904)}"}}`,
    );
  });

  test('a verification', () => {
    assert.equal(
      text(profile.verification(nonce, box)),
      `{"aps":{"content-available":1},"notificationData":{"nonce":"${'-_v7'.repeat(8)}","verification":"${'_'.repeat(3904)}"}}`,
    );
  });

  test('check and alert hold nothing of a frame', () => {
    assert.equal(
      text(profile.check),
      '{"aps":{"content-available":1},"notificationData":{"checkMessages":true}}',
    );
    assert.equal(text(profile.alert), `{"aps":{"alert":"${texts.visible_text}"}}`);
  });

  test('two bytes are free, a third refuses the start', () => {
    createSimplexProfile({ ...texts, visible_text: `${texts.visible_text}!!` });
    for (const more of ['!!!', '""', 'é!']) {
      const make = () => createSimplexProfile({ ...texts, visible_text: texts.visible_text + more });
      assert.throws(make, PayloadTooLarge);
    }
  });

  test('quotes and line ends of the operator stay inside their string', () => {
    const visible_text = 'a"}}\n';
    const odd = createSimplexProfile({ ...texts, visible_text });
    assert.equal(JSON.parse(text(odd.message(nonce, box))).aps.alert, visible_text);
  });
});
