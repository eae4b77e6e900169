/** The gateway over real TLS, from the signed batch to what Apple would get. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { connect } from 'node:tls';
import type { ApnsResult } from '../../services/gateway/apns/engine.js';
import type { Crypto } from '../../shared/crypto/crypto.js';
import { loadCrypto } from '../../shared/crypto/load.js';
import { fromBase64url } from '../../shared/encoding/base64url.js';
import { concat, toHex } from '../../shared/encoding/bytes.js';
import { encodeBatch, type Outcome, PAYLOAD_SIZE } from '../../shared/relay/batch.js';
import { CONTENT_TYPE, PATHS } from '../../shared/relay/constants.js';
import { parseProblem } from '../../shared/relay/problem.js';
import { makeFrame } from '../support/frames.js';
import { TOPIC } from '../support/gateway.js';
import { openBox, Scene } from '../support/gateway-scene.js';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

let crypto: Crypto;
before(async () => {
  crypto = await loadCrypto();
});

const token = (): Uint8Array => crypto.randomBytes(32);
const codeOf = (answer: { body: Buffer }) => parseProblem(answer.body.toString());
const summary = (outcome: Outcome | undefined) => `${outcome?.kind}/${outcome?.reason}/${outcome?.after}`;

describe('an app of profile porchlight', () => {
  test('gets messages of urgency 0 silently, four an hour as checks, and the others beside them', async () => {
    const apps = [{ topic: TOPIC, environments: ['production'], key: 'main', profile: 'porchlight' }];
    const scene = await Scene.start(crypto, { apps });
    const { capability } = await scene.exchange(token());
    const { frame, m } = scene.client.verification(capability);
    await scene.client.push(frame);
    const { porchlight } = JSON.parse(Buffer.from(scene.test.apns.pushes.at(-1)!.body).toString());
    const [box, nonce] = [fromBase64url(porchlight.verification)!, fromBase64url(porchlight.nonce)!];
    const code = openBox(m, nonce, box).slice(2, 34);
    const proven = (await scene.client.post(PATHS.prove, concat(capability, code))).body;
    const push = async (urgent: boolean, kind: 'message' | 'check' = 'message') =>
      summary((await scene.client.push(makeFrame({ capability: proven, urgent, kind })))[0]);
    for (let n = 0; n < 3; n++) assert.equal(await push(false), 'accepted/none/0');
    const { pushType, priority, body } = scene.test.apns.pushes.at(-1)!;
    assert.deepEqual([pushType, priority], ['background', 5]);
    assert.ok(Buffer.from(body).toString().startsWith('{"aps":{"content-available":1},"porchlight":'));
    assert.equal(await push(false, 'check'), 'accepted/none/0');
    assert.equal(await push(false), 'later/budget/1200');
    assert.equal(await push(true), 'accepted/none/0');
    assert.equal(scene.test.apns.pushes.at(-1)!.pushType, 'alert');
    await scene.close();
  });
});

describe('gateway', () => {
  let scene: Scene;
  before(async () => {
    scene = await Scene.start(crypto);
  });
  after(() => scene.close());
  beforeEach(() => {
    scene.test.apns.answer = () => ({ kind: 'accepted' });
  });

  test('a device is registered, proven and woken', async () => {
    const device = token();
    const capability = await scene.proven(device);
    const frame = makeFrame({ capability });
    assert.equal(summary((await scene.client.push(frame))[0]), 'accepted/none/0');
    const push = scene.test.apns.pushes.at(-1)!;
    assert.deepEqual(push.token, device);
    assert.equal(push.topic, TOPIC);
    assert.equal(push.environment, 'production');
    assert.equal(push.pushType, 'alert');
    assert.equal(push.priority, 10);
    assert.equal(push.body.length, 4094);
    const body = JSON.parse(Buffer.from(push.body).toString());
    assert.deepEqual(body.aps, {
      'mutable-content': 1,
      alert: 'Encrypted message or another app event',
      category: 'NTF_CAT_CHECK_MESSAGE',
    });
    assert.deepEqual(Object.keys(body.notificationData), ['nonce', 'message']);
    assert.equal(body.notificationData.message, Buffer.from(frame.payload).toString('base64url'));
    assert.equal(body.notificationData.nonce, Buffer.from(frame.nonce).toString('base64url'));
    assert.ok(
      scene.test.apns.tokens.at(-1)!.every((byte) => byte === 0),
      'the token is overwritten',
    );
  });

  test('a repeated registration has the same tag, another device or subscriber another', async () => {
    const device = token();
    const first = await scene.exchange(device);
    const again = await scene.exchange(device);
    assert.deepEqual(again.deviceTag, first.deviceTag);
    assert.notDeepEqual(again.capability, first.capability);
    assert.notDeepEqual((await scene.exchange(token())).deviceTag, first.deviceTag);
    const other = scene.newClient();
    assert.notDeepEqual((await scene.exchange(device, other)).deviceTag, first.deviceTag);
    other.close();
  });

  test('answers stream as frames are done, in any order', async () => {
    const capability = await scene.proven(token());
    const waiting: ((result: ApnsResult) => void)[] = [];
    scene.test.apns.answer = () => new Promise((resolve) => waiting.push(resolve));
    const frames = [makeFrame({ capability }), makeFrame({ capability, kind: 'check' }), makeFrame()];
    const body = encodeBatch(frames);
    const order: number[] = [];
    const done = scene.client.send('POST', PATHS.push, scene.client.sign(PATHS.push, body), body, (chunk) => {
      for (let at = 0; at < chunk.length; at += 272) order.push(chunk.readUInt16BE(at));
      // The forged frame is answered first; then Apple answers the second frame, and only then the first.
      if (order.length === 1) waiting[1]!({ kind: 'accepted' });
      if (order.length === 2) waiting[0]!({ kind: 'accepted' });
    });
    assert.equal((await done).status, 200);
    assert.deepEqual(order, [2, 1, 0]);
  });

  test('an empty batch is a signed hello', async () => {
    assert.deepEqual(await scene.client.push(), []);
  });

  test('a frame id is answered once by Apple, and the same again to whoever repeats it', async () => {
    const capability = await scene.proven(token());
    const frame = makeFrame({ capability });
    let finish: (result: ApnsResult) => void = () => {};
    scene.test.apns.answer = () =>
      new Promise((resolve) => {
        finish = resolve;
      });
    const before = scene.test.apns.pushes.length;
    const running = scene.client.push(frame);
    while (scene.test.apns.pushes.length === before) await new Promise((r) => setImmediate(r));
    const repeated = scene.client.push(frame);
    // Apple's answer comes once the repeated request has arrived.
    await scene.client.push();
    finish({ kind: 'later', reason: 'device', afterSeconds: 61 });
    assert.equal(summary((await running)[0]), 'later/device/300');
    assert.equal(summary((await repeated)[0]), 'later/device/300');
    assert.equal(summary((await scene.client.push(frame))[0]), 'later/device/300');
    assert.equal(scene.test.apns.pushes.length, before + 1);
    const other = scene.newClient();
    const stolen = await other.push(frame);
    assert.equal(summary(stolen[0]), 'refused/wrong-subscriber/0');
    other.close();
  });

  test("Apple's answers become outcomes", async () => {
    const capability = await scene.proven(token());
    const cases: [ApnsResult, string][] = [
      [{ kind: 'dead', reason: 'unregistered', at: 5 }, 'dead/unregistered/0'],
      [{ kind: 'later', reason: 'provider', afterSeconds: 60 }, 'later/provider/60'],
      [{ kind: 'later', reason: 'load', afterSeconds: 9999 }, 'later/load/3600'],
      [{ kind: 'unavailable', reason: 'breaker-open' }, 'unavailable/breaker-open/0'],
      [{ kind: 'rejected', reason: 'BadTopic' }, 'refused/malformed/0'],
    ];
    for (const [result, expected] of cases) {
      scene.test.apns.answer = () => result;
      assert.equal(summary((await scene.client.push(makeFrame({ capability })))[0]), expected);
    }
  });

  test('of an unproven device, a stranger learns only `bad`, and may send only verification', async () => {
    const { capability } = await scene.exchange(token());
    assert.equal(summary((await scene.client.push(makeFrame({ capability })))[0]), 'refused/malformed/0');
    scene.test.apns.answer = () => ({ kind: 'dead', reason: 'unregistered' });
    const { frame } = scene.client.verification(capability);
    assert.equal(summary((await scene.client.push(frame))[0]), 'dead/bad/0');
    assert.equal(scene.test.apns.pushes.at(-1)!.provenAt, 0);
    const again = scene.client.verification(capability);
    assert.equal(summary((await scene.client.push(again.frame))[0]), 'later/device/1200');
  });

  test('a verification frame with anything but a key is refused', async () => {
    const capability = await scene.proven(token());
    const payload = crypto.randomBytes(PAYLOAD_SIZE);
    const frame = makeFrame({ kind: 'verification', capability, payload });
    assert.equal(summary((await scene.client.push(frame))[0]), 'refused/malformed/0');
  });

  test('a wrong or another code proves nothing', async () => {
    const { capability } = await scene.exchange(token());
    const { frame, m } = scene.client.verification(capability);
    await scene.client.push(frame);
    const code = scene.code(m);
    const wrong = code.slice();
    wrong[31]! ^= 1;
    assert.equal(codeOf(await scene.client.post(PATHS.prove, concat(capability, wrong))), 'bad-code');
    const other = await scene.exchange(token());
    assert.equal(codeOf(await scene.client.post(PATHS.prove, concat(other.capability, code))), 'bad-code');
    assert.equal((await scene.client.post(PATHS.prove, concat(capability, code))).status, 200);
    assert.equal(codeOf(await scene.client.post(PATHS.prove, capability)), 'bad-request');
  });

  test('a renewed capability works, a forged one is not renewed', async () => {
    const capability = await scene.proven(token());
    const renewed = (await scene.client.post(PATHS.renew, capability)).body;
    assert.equal(renewed.length, 256);
    assert.notDeepEqual(renewed, capability);
    assert.equal((await scene.client.push(makeFrame({ capability: renewed })))[0]?.kind, 'accepted');
    assert.equal(codeOf(await scene.client.post(PATHS.renew, crypto.randomBytes(256))), 'bad-capability');
  });

  test('sealed tokens are refused: old, of another subscriber, app or key', async () => {
    const seal = (topic: string, key = scene.sealing) => scene.client.seal(key, topic, token());
    const post = async (body: Uint8Array) => codeOf(await scene.client.post(PATHS.capabilities, body));
    assert.equal(await post(seal('other.app')), 'bad-sealed-token');
    assert.equal(
      await post(seal(TOPIC, { ...scene.sealing, keyId: new Uint8Array(4) })),
      'unknown-sealing-key',
    );
    assert.equal(await post(seal(TOPIC).fill(0, 100)), 'bad-sealed-token');
    assert.equal(await post(new Uint8Array(228)), 'bad-sealed-token');
    assert.equal(await post(scene.client.seal(scene.sealing, TOPIC, token(), 'sandbox')), 'bad-sealed-token');
    const path = scene.client.seal(scene.sealing, TOPIC, Buffer.from('../x'), 'test');
    assert.equal(await post(path), 'bad-sealed-token');
    const other = scene.newClient();
    assert.equal(await post(other.seal(scene.sealing, TOPIC, token())), 'bad-sealed-token');
    other.close();
    const old = seal(TOPIC);
    scene.clock.jump(DAY + 1000);
    assert.equal(await post(old), 'bad-sealed-token');
  });

  test('requests are refused: replayed, late, changed, unsigned, for another gateway', async () => {
    const { client } = scene;
    const body = new Uint8Array([1, 0, 0, 0, 0, 0, 0x0c, 0xa0]);
    const headers = client.sign(PATHS.push, body);
    const send = (h: Record<string, string>, b = body, path: string = PATHS.push) =>
      client.send('POST', path, h, b);
    assert.equal((await send(headers)).status, 200);
    const replay = await send(headers);
    assert.equal(replay.status, 409);
    assert.equal(codeOf(replay), 'replay');
    const late = await send(client.sign(PATHS.push, body, client.now - 61));
    assert.equal(late.status, 401);
    assert.equal(codeOf(late), 'clock');
    assert.equal(Date.parse(String(late.headers.date)), Math.floor(scene.clock.now() / 1000) * 1000);
    assert.equal(codeOf(await send(client.sign(PATHS.push, body, client.now + 61))), 'clock');
    assert.equal((await send(client.sign(PATHS.push, body, client.now - 60))).status, 200);
    const fresh = () => client.sign(PATHS.push, body);
    assert.equal(codeOf(await send(fresh(), new Uint8Array(8))), 'bad-signature');
    assert.equal(codeOf(await send(fresh(), body, PATHS.renew)), 'bad-signature');
    assert.equal(codeOf(await send(fresh(), body, `${PATHS.push}?x=1`)), 'bad-signature');
    assert.equal(codeOf(await send({ 'content-type': CONTENT_TYPE })), 'bad-signature');
    const foreign = scene.newClient('x'.repeat(43));
    assert.equal(codeOf(await foreign.post(PATHS.push, body)), 'bad-signature');
    foreign.close();
    const version = await send({ ...fresh(), 'content-type': 'application/vnd.porchlight.v2' });
    assert.equal(version.status, 415);
    const large = await client.post(PATHS.push, new Uint8Array(1024 * 1024 + 1)).catch(() => undefined);
    if (large !== undefined) assert.equal(codeOf(large), 'too-large');
    assert.equal(codeOf(await client.post(PATHS.push, body.slice(1))), 'bad-request');
    assert.equal((await client.send('GET', '/v1/nothing', {})).status, 404);
  });

  test('what a push contains or names stands in no answer, log or metric', async () => {
    const device = token();
    const capability = await scene.proven(device);
    scene.test.apns.answer = () => ({ kind: 'rejected', reason: 'BadTopic' });
    const frame = makeFrame({ capability });
    const answer = await scene.client.push(frame);
    const bad = await scene.client.post(PATHS.renew, Buffer.concat([device, capability]));
    const metrics = await observe(scene.test.gateway.observePort, '/metrics');
    const log = scene.test.logLines.join('');
    const files = readdirSync(join(scene.test.folder, 'state'), { recursive: true, withFileTypes: true })
      .filter((f) => f.isFile())
      .map((f) => readFileSync(join(f.parentPath, f.name), 'latin1'));
    const secrets = [
      device,
      capability,
      frame.payload,
      frame.nonce,
      frame.id,
      scene.client.identity.publicKey,
    ];
    for (const secret of secrets) {
      const raw = Buffer.from(secret.subarray(0, 24));
      for (const form of [
        raw.toString('hex'),
        raw.toString('base64url'),
        raw.toString('base64'),
        raw.toString('latin1'),
      ]) {
        for (const text of [log, metrics, JSON.stringify(answer), bad.body.toString('latin1'), ...files]) {
          assert.ok(!text.includes(form));
        }
      }
    }
    assert.ok(log.includes('BadTopic') && metrics.includes('porchlight_gateway_frames_total'));
  });

  test('the second listener tells whether it is ready', async () => {
    const port = scene.test.gateway.observePort;
    assert.equal(await observe(port, '/readyz'), 'ready\n');
    scene.test.apns.isReady = false;
    assert.equal(await observe(port, '/readyz'), 'apns\n');
    scene.test.apns.isReady = true;
    assert.equal((await scene.client.send('GET', '/healthz', {})).body.toString(), 'ok\n');
    assert.equal((await scene.client.send('GET', '/metrics', {})).status, 404);
  });
});

describe('gateway over weeks', () => {
  let scene: Scene;
  before(async () => {
    scene = await Scene.start(crypto);
  });
  after(() => scene.close());

  test('a restarted gateway opens what it issued, and keys are renewed on the way', async () => {
    const device = token();
    let capability = await scene.proven(device);
    await scene.test.restart();
    const push = async () => (await scene.client.push(makeFrame({ capability })))[0]!;
    assert.equal(summary(await push()), 'accepted/none/0');

    scene.clock.jump(25 * DAY);
    assert.equal((await push()).capability, undefined);
    scene.clock.jump(2 * DAY);
    const renewal = (await push()).capability;
    assert.ok(renewal);
    assert.notEqual(
      toHex(renewal.subarray(1, 5)),
      toHex(capability.subarray(1, 5)),
      'sealed under another key',
    );
    capability = Buffer.from(renewal);
    assert.equal((await push()).capability, undefined);

    // Renewal never prolongs: 45 days after the proof it is over.
    scene.clock.jump(17 * DAY);
    assert.equal(summary(await push()), 'accepted/none/0');
    scene.clock.jump(DAY + MINUTE);
    assert.equal(summary(await push()), 'refused/expired/0');
  });

  test('roots and sealing keys past their days are destroyed', async () => {
    const names = (folder: string) => new Set(readdirSync(join(scene.test.folder, 'state', folder)));
    await scene.exchange(token()).catch(() => undefined);
    const before = { epochs: names('epochs'), sealing: names('sealing') };
    scene.clock.jump(62 * DAY);
    // Not at once: a clock that was set wrong for an hour must not destroy anything.
    await scene.clock.advance(50 * MINUTE);
    assert.deepEqual(names('epochs').size, before.epochs.size);
    await scene.clock.advance(12 * MINUTE);
    await scene.fetchStatement();
    await scene.exchange(token());
    for (const folder of ['epochs', 'sealing'] as const) {
      const now = names(folder);
      for (const name of before[folder]) assert.ok(!now.has(name), `${folder}/${name}`);
      assert.ok(now.size > 0);
    }
  });
});

describe('a gateway that stops', () => {
  test('tells the outcomes of frames that Apple answers meanwhile', async () => {
    const scene = await Scene.start(crypto);
    const capability = await scene.proven(token());
    const { apns } = scene.test;
    let answered = (): void => {};
    const asked = new Promise<void>((asked) => {
      apns.answer = () => {
        asked();
        return new Promise<ApnsResult>((resolve) => {
          answered = () => resolve({ kind: 'accepted' });
        });
      };
    });
    apns.close = async () => answered();
    const outcome = scene.client.push(makeFrame({ capability }));
    await asked;
    await scene.test.close();
    assert.deepEqual((await outcome).map(summary), ['accepted/none/0']);
    scene.client.close();
  });
});

describe('a request that its sender leaves', () => {
  test('in the middle of the body: nothing stays counted', async () => {
    const scene = await Scene.start(crypto);
    const body = encodeBatch([makeFrame(), makeFrame()]);
    const headers = scene.client.sign(PATHS.push, body);
    const { port, observePort } = scene.test.gateway;
    const socket = connect({ host: '127.0.0.1', port, ca: scene.test.certificate, servername: 'localhost' });
    await once(socket, 'secureConnect');
    const lines = Object.entries({ ...headers, host: scene.client.authority, 'content-length': body.length });
    socket.write(`POST ${PATHS.push} HTTP/1.1\r\n`);
    socket.write(`${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`);
    socket.write(body.subarray(0, 4000));
    const held = () => observe(observePort, '/metrics').then((text) => /body_bytes (\d+)/.exec(text)?.[1]);
    const until = async (wanted: string) => {
      for (let i = 0; i < 200; i++) {
        await scene.clock.advance(15_000);
        if ((await held()) === wanted) return;
      }
      assert.fail(`body_bytes is not ${wanted}`);
    };
    await until(String(body.length));
    socket.destroy();
    await until('0');
    await scene.close();
  });
});

describe('listed gateway', () => {
  test('serves its list only', async () => {
    const listed = crypto.ed25519KeyPair();
    const keys = [Buffer.from(listed.publicKey).toString('base64url')];
    const scene = await Scene.start(crypto, { subscribers: { mode: 'listed', keys } });
    const answer = await scene.client.post(PATHS.push, new Uint8Array([1, 0, 0, 0, 0, 0, 0x0c, 0xa0]));
    assert.equal(answer.status, 403);
    assert.equal(codeOf(answer), 'not-listed');
    await scene.close();
  });
});

function observe(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve(text));
    }).on('error', reject);
  });
}
