/** What a screen shows is the gateway operator's: no frame of a subscriber can put a word there (design §1). */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fromBase64url } from '../../shared/encoding/base64url.js';
import { concat, utf8 } from '../../shared/encoding/bytes.js';
import { NONCE_SIZE, PAYLOAD_SIZE } from '../../shared/relay/batch.js';
import { PATHS } from '../../shared/relay/constants.js';
import { checkStatement, currentSealingKey } from '../../shared/relay/statement.js';
import { makeFrame } from '../support/frames.js';
import { RelayClient } from '../support/relay-client.js';
import { TestPhone } from '../support/world/phone.js';
import { startWorld, TOPIC, type World } from '../support/world/world.js';

const VISIBLE = 'Something waits at the door';
const EVIL = 'Your account is locked, call 555';
const TAG_SIZE = 16;

/** The payload without what only the phone can read. */
function skeleton(payload: string): unknown {
  const { aps, notificationData, ...rest } = JSON.parse(payload);
  const boxes = Object.entries(notificationData ?? {}).map(([key, value]) => {
    const isBox = typeof value === 'string' && /^[A-Za-z0-9_-]+=*$/.test(value);
    return [key, isBox ? 'box' : value];
  });
  return { aps, ...(notificationData && { notificationData: Object.fromEntries(boxes) }), ...rest };
}

const BACKGROUND = { 'content-available': 1 };
const ALLOWED = [
  { aps: BACKGROUND, notificationData: { nonce: 'box', verification: 'box' } },
  {
    aps: { 'mutable-content': 1, alert: VISIBLE, category: 'NTF_CAT_CHECK_MESSAGE' },
    notificationData: { nonce: 'box', message: 'box' },
  },
  { aps: BACKGROUND, notificationData: { checkMessages: true } },
  { aps: { alert: VISIBLE } },
];

describe('visible text', () => {
  let world: World;
  before(async () => {
    world = await startWorld({ gateway: { APPS_0_VISIBLE_TEXT: VISIBLE } });
  });
  after(() => world.close());

  const pushes = () => world.apns.deliveries.read().filter(({ step }) => step !== 'replaced');

  function assertOnlyAllowed(): void {
    const allowed = new Set(ALLOWED.map((shape) => JSON.stringify(shape)));
    for (const { payload, collapseId } of pushes()) {
      assert.ok(allowed.has(JSON.stringify(skeleton(payload))), payload);
      assert.ok(!`${payload}${collapseId}`.includes(EVIL.slice(0, 12)));
    }
  }

  test('is what the gateway is configured to say, in every message push', async () => {
    const phone = new TestPhone(world);
    await phone.register();
    await phone.follow('friend');
    await phone.receive('friend', EVIL);
    await phone.wakesUp('friend');
    const messages = phone.pushes.filter(({ result }) => result?.kind === 'messages');
    assert.ok(messages.length > 0);
    for (const { delivery } of messages) assert.equal(JSON.parse(delivery.payload).aps.alert, VISIBLE);
    assertOnlyAllowed();
  });

  test('a subscriber that writes its own frames changes nothing about it', async () => {
    const { crypto, gateway } = world;
    const certificate = readFileSync(join(world.gatewayFolder, 'tls.crt'), 'utf8');
    const { fingerprint } = gateway;
    const client = new RelayClient({
      crypto,
      clock: world.clock,
      port: () => gateway.port,
      certificate,
      fingerprint,
    });
    world.onClose(() => client.close());
    const capability = await provenDevice(client);
    const text = utf8(EVIL);
    const payload = new Uint8Array(PAYLOAD_SIZE).fill(0x20);
    payload.set(text);
    const nonce = new Uint8Array(NONCE_SIZE).fill(0x22);
    nonce.set(text.subarray(0, NONCE_SIZE));
    const before = pushes().length;
    const frames = (['message', 'check', 'alert', 'verification'] as const).map((kind, slot) =>
      makeFrame({
        kind,
        capability,
        payload: kind === 'check' || kind === 'alert' ? payload.slice().fill(0) : payload,
        nonce,
        slot,
      }),
    );
    const broken = makeFrame({ kind: 'alert', capability, payload, nonce });
    const outcomes = await client.push(...frames, broken);
    assert.deepEqual(
      outcomes.slice(0, 3).map(({ kind }) => kind),
      ['accepted', 'accepted', 'accepted'],
    );
    assert.ok(pushes().length >= before + 3);
    assertOnlyAllowed();
  });

  /** A capability with a proof, got as a subscriber gets one that also plays the phone. */
  async function provenDevice(client: RelayClient): Promise<Uint8Array> {
    const { crypto, apns, gateway } = world;
    const { token } = apns.devices.register({ environment: 'test', topic: TOPIC });
    const answer = (await client.statement()).body.toString();
    const result = checkStatement(crypto, answer, { fingerprint: gateway.fingerprint, now: client.now });
    assert.ok('statement' in result);
    const key = currentSealingKey(result.statement, client.now)!;
    const exchanged = await client.post(PATHS.capabilities, client.seal(key, TOPIC, utf8(token), 'test'));
    const capability = exchanged.body.subarray(0, 256);
    const { frame, m } = client.verification(capability);
    await client.push(frame);
    const { notificationData } = JSON.parse(pushes().find((push) => push.token === token)!.payload);
    const box = fromBase64url(notificationData.verification)!.subarray(TAG_SIZE);
    // Sealing zeros gives the key stream.
    const used = fromBase64url(notificationData.nonce)!.subarray(16);
    const stream = crypto.salsa20Poly1305Seal(m, used, new Uint8Array(box.length)).subarray(TAG_SIZE);
    const code = box.map((byte, i) => byte ^ stream[i]!).subarray(2, 34);
    const proven = await client.post(PATHS.prove, concat(capability, code));
    assert.equal(proven.status, 200);
    return proven.body;
  }
});
