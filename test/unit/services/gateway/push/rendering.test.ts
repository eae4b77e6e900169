import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { App } from '../../../../../services/gateway/apps.js';
import type { OpenCapability } from '../../../../../services/gateway/capabilities/capability.js';
import { limitedAs, renderPush } from '../../../../../services/gateway/push/rendering.js';
import { createPorchlightProfile } from '../../../../../services/gateway/render/porchlight.js';
import { createSimplexProfile } from '../../../../../services/gateway/render/simplex.js';
import type { Crypto } from '../../../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import { fromHex, toHex } from '../../../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../../../shared/encoding/reader.js';
import type { Frame } from '../../../../../shared/relay/batch.js';
import { makeFrame } from '../../../../support/frames.js';
import { ownVector } from '../../../../support/paths.js';

const NOW = 1_800_000_000;
const app: App = {
  topic: 'chat.example',
  environments: ['production'],
  profileName: 'simplex',
  profile: createSimplexProfile({ visible_text: 'Something', category: 'C' }),
  hasOneSubscriber: false,
};
const porchlight: App = {
  ...app,
  profileName: 'porchlight',
  profile: createPorchlightProfile({ visible_text: 'Something' }),
};
const capability = { environment: 'production', proven: true, provenAt: 5, token: new Uint8Array(3) };
const open = capability as OpenCapability;

let crypto: Crypto;
before(async () => {
  crypto = await loadCrypto();
});

const encoded = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');
const render = (changes: Partial<Frame>, code: Uint8Array = new Uint8Array(32)) =>
  renderPush(crypto, makeFrame(changes), open, app, () => code, NOW);

describe('push of a frame', () => {
  test('priority is 10 only where a visible push is urgent', () => {
    const payload = new Uint8Array(2928);
    for (const [kind, urgent, pushType, priority] of [
      ['message', true, 'alert', 10],
      ['message', false, 'alert', 5],
      ['alert', true, 'alert', 10],
      ['check', true, 'background', 5],
      ['verification', true, 'background', 5],
    ] as const) {
      const push = render({ kind, urgent, payload: payload.slice() });
      assert.deepEqual([push.pushType, push.priority], [pushType, priority], kind);
    }
  });

  test('profile porchlight: a message of urgency 0 is silent and counts as a background push', () => {
    for (const [kind, urgent, pushType, priority, limited] of [
      ['message', true, 'alert', 10, 'message'],
      ['message', false, 'background', 5, 'check'],
      ['alert', true, 'alert', 10, 'alert'],
      ['check', false, 'background', 5, 'check'],
    ] as const) {
      const frame = makeFrame({ kind, urgent, slot: 1 });
      const push = renderPush(crypto, frame, open, porchlight, () => new Uint8Array(32), NOW);
      assert.deepEqual([push.pushType, push.priority], [pushType, priority], kind);
      assert.equal(limitedAs(frame, porchlight), limited);
      assert.equal(push.collapseId, `${kind}-1`);
      assert.equal(limitedAs(frame, app), kind, 'profile simplex');
      const { aps, porchlight: data } = JSON.parse(Buffer.from(push.body).toString());
      assert.equal('content-available' in aps, pushType === 'background');
      assert.equal(data?.message, kind === 'message' ? encoded(frame.payload) : undefined);
    }
  });

  test('expiration is never past, and within what Apple stores', () => {
    assert.equal(render({ expiry: 0 }).expiration, NOW);
    assert.equal(render({ expiry: NOW + 600 }).expiration, NOW + 600);
    assert.equal(render({ expiry: 0xffffffff }).expiration, NOW + 30 * 86_400);
  });

  test('a slot is a collapse id of its kind', () => {
    assert.equal('collapseId' in render({ slot: 0 }), false);
    assert.equal(render({ kind: 'alert', slot: 1 }).collapseId, 'alert-1');
    assert.equal(render({ kind: 'check', slot: 255 }).collapseId, 'check-255');
  });

  test('the code is boxed as NaCl would, and its key overwritten', () => {
    const v = ownVector<Record<'m' | 'nonce' | 'code' | 'payload' | 'box', string>>('relay-verification');
    const payload = fromHex(v.payload)!;
    const push = render({ kind: 'verification', nonce: fromHex(v.nonce)!, payload }, fromHex(v.code)!);
    const { notificationData } = JSON.parse(Buffer.from(push.body).toString());
    assert.equal(Buffer.from(notificationData.verification, 'base64url').toString('hex'), v.box);
    assert.equal(Buffer.from(notificationData.nonce, 'base64url').toString('hex'), v.nonce);
    assert.ok(
      payload.every((byte) => byte === 0),
      toHex(payload.subarray(0, 32)),
    );
  });

  test('a verification frame with bytes behind the key is refused', () => {
    assert.throws(() => render({ kind: 'verification' }), DecodeError);
  });
});
