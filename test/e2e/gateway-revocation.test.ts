/** What is revoked, over real TLS: who can, what is refused then, and what a stranger can't do. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { loadCrypto } from '../../shared/crypto/load.js';
import { concat } from '../../shared/encoding/bytes.js';
import { PATHS } from '../../shared/relay/constants.js';
import { appTag } from '../../shared/relay/identity.js';
import { parseProblem } from '../../shared/relay/problem.js';
import { encodeSealedRevocation } from '../../shared/relay/revocation.js';
import { makeFrame } from '../support/frames.js';
import { TOPIC } from '../support/gateway.js';
import { Scene } from '../support/gateway-scene.js';

const MINUTE = 60_000;
const crypto = await loadCrypto();

describe('POST /v1/capabilities/revoke', () => {
  let scene: Scene;
  before(async () => {
    scene = await Scene.start(crypto);
  });
  after(() => scene.close());

  const token = () => crypto.randomBytes(32);
  const codeOf = ({ body }: { body: Buffer }) => parseProblem(body.toString());
  const revoke = (body: Uint8Array, client = scene.client) => client.post(PATHS.revoke, body);

  /** What pushes, renewals and proofs with this capability are answered. */
  async function answers(capability: Uint8Array, client = scene.client): Promise<(string | undefined)[]> {
    const [outcome] = await client.push(makeFrame({ capability }));
    const renewed = await client.post(PATHS.renew, capability);
    const proof = await client.post(PATHS.prove, concat(capability, new Uint8Array(32)));
    return [`${outcome!.kind}/${outcome!.reason}`, codeOf(renewed), codeOf(proof)];
  }
  const REVOKED = ['refused/revoked', 'bad-capability', 'bad-capability'];
  const GOOD = ['accepted/none', undefined, 'bad-code'];

  test('by the subscriber that holds it: 204 without a body, then it is refused everywhere', async () => {
    const capability = await scene.proven(token());
    assert.deepEqual(await answers(capability), GOOD);
    const answer = await revoke(capability);
    assert.deepEqual([answer.status, answer.body.length], [204, 0]);
    assert.deepEqual(await answers(capability), REVOKED);
    assert.equal((await revoke(capability)).status, 204);
    await scene.test.restart();
    assert.deepEqual(await answers(capability), REVOKED);
  });

  test('by the owner of the device, through any subscriber', async () => {
    const owner = crypto.ed25519KeyPair();
    scene.client.ownerKey = owner.publicKey;
    const device = token();
    const capability = await scene.proven(device);
    const revocation = (by = owner) =>
      encodeSealedRevocation(crypto, scene.sealing, by, {
        environment: 'production',
        appTag: appTag(crypto, TOPIC),
        createdAt: scene.client.now,
        token: device,
      });
    const other = scene.newClient();
    const forged = revocation({ ...owner, privateKey: crypto.ed25519KeyPair().privateKey });
    assert.equal(codeOf(await revoke(forged, other)), 'bad-sealed-token');
    assert.equal((await revoke(revocation(crypto.ed25519KeyPair()), other)).status, 204, 'of nobody here');
    assert.deepEqual(await answers(capability), GOOD);
    const genuine = revocation();
    assert.equal((await revoke(genuine, other)).status, 204);
    assert.deepEqual(await answers(capability), REVOKED);
    // The phone registers again; the same revocation once more harms nothing.
    scene.clock.suspend(21 * MINUTE);
    const next = await scene.proven(device);
    assert.equal((await revoke(genuine, other)).status, 204);
    assert.deepEqual(await answers(next), GOOD);
    other.close();
  });

  test('refused: what another subscriber holds, what is none, what has another size', async () => {
    const capability = await scene.proven(token());
    const other = scene.newClient();
    assert.equal(codeOf(await revoke(capability, other)), 'bad-capability');
    assert.equal(codeOf(await revoke(new Uint8Array(256))), 'bad-capability');
    assert.equal(codeOf(await revoke(new Uint8Array(293).fill(2))), 'unknown-sealing-key');
    assert.equal(codeOf(await revoke(new Uint8Array(293))), 'bad-sealed-token');
    for (const size of [0, 255, 292, 294]) {
      assert.equal(codeOf(await revoke(new Uint8Array(size))), 'bad-request', `${size}`);
    }
    assert.deepEqual(await answers(capability), GOOD);
    other.close();
  });

  test('a stranger that knows a token and sees Apple refuse it changes nothing', async () => {
    const device = token();
    const capability = await scene.proven(device);
    const stranger = scene.newClient();
    const { apns } = scene.test;
    for (const reason of ['bad', 'unregistered'] as const) {
      scene.clock.suspend(21 * MINUTE);
      await scene.fetchStatement();
      const unproven = (await scene.exchange(device, stranger)).capability;
      apns.answer = () => ({ kind: 'dead', reason, at: scene.client.now });
      const [outcome] = await stranger.push(stranger.verification(unproven).frame);
      assert.deepEqual([outcome!.kind, outcome!.reason], ['dead', 'bad']);
      assert.equal((await revoke(unproven, stranger)).status, 204);
      apns.answer = () => ({ kind: 'accepted' });
      assert.deepEqual(await answers(capability), GOOD);
      assert.deepEqual((await stranger.post(PATHS.renew, unproven)).status, 200);
    }
    stranger.close();
  });

  test('Apple refuses a proven device: every subscriber that has it is refused, until it registers again', async () => {
    const device = token();
    const other = scene.newClient();
    const mine = await scene.proven(device);
    scene.clock.suspend(21 * MINUTE);
    const others = await scene.proven(device, other);
    scene.clock.suspend(10 * MINUTE);
    const { apns } = scene.test;
    apns.answer = () => ({ kind: 'dead', reason: 'unregistered', at: scene.client.now - 60 });
    const [outcome] = await scene.client.push(makeFrame({ capability: mine }));
    assert.deepEqual([outcome!.kind, outcome!.reason], ['dead', 'unregistered']);
    apns.answer = () => ({ kind: 'accepted' });
    assert.deepEqual(await answers(mine), REVOKED);
    assert.deepEqual(await answers(others, other), REVOKED);
    scene.clock.suspend(21 * MINUTE);
    assert.deepEqual(await answers(await scene.proven(device)), GOOD);
    other.close();
  });
});

test('an app whose phones have one subscriber: moving there ends what was elsewhere', async () => {
  const apps = [{ topic: TOPIC, environments: ['production'], key: 'main', single_subscriber: true }];
  const scene = await Scene.start(crypto, { apps });
  const device = crypto.randomBytes(32);
  const other = scene.newClient();
  const old = await scene.proven(device, other);
  scene.clock.suspend(21 * MINUTE);
  const next = await scene.proven(device);
  const outcome = async (capability: Buffer, client = scene.client) =>
    (await client.push(makeFrame({ capability })))[0]!.reason;
  assert.equal(await outcome(old, other), 'revoked');
  assert.equal(await outcome(next), 'none');
  other.close();
  await scene.close();
});
