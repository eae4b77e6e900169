/** Hostile subscribers at the gateway (design §6, §8): the devices of others go on being woken. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { encodeBatch } from '../../../shared/relay/batch.js';
import { CONTENT_TYPE, MAX_BODY_SIZE, PATHS } from '../../../shared/relay/constants.js';
import type { SealingKey } from '../../../shared/relay/sealed-record.js';
import { contentDigest, signRequest } from '../../../shared/relay/signature.js';
import { checkStatement, currentSealingKey } from '../../../shared/relay/statement.js';
import { makeFrame } from '../../support/frames.js';
import { type HttpAnswer, RelayClient } from '../../support/relay-client.js';
import { TestPhone } from '../../support/world/phone.js';
import { HOST, startWorld, TOPIC, type World } from '../../support/world/world.js';

/** Requests and frames a second of all newcomers; ten times that at once. */
const NEWCOMER_RATE = 20;
const NOTHING = new Uint8Array(0);

const codeOf = ({ status, body }: HttpAnswer): string =>
  `${status} ${(JSON.parse(body.toString()) as { code: string }).code}`;

describe('hostile subscribers', () => {
  let world: World;
  let phone: TestPhone;
  let stranger: RelayClient;

  before(async () => {
    world = await startWorld({ gateway: { LIMITS_NEWCOMER_RATE: `${NEWCOMER_RATE}` } });
    phone = new TestPhone(world);
    await phone.register();
    await phone.follow('friend');
    stranger = newStranger();
  });
  after(() => world.close());

  function newStranger(): RelayClient {
    const client = new RelayClient({
      crypto: world.crypto,
      clock: world.clock,
      port: () => world.gateway.port,
      certificate: readFileSync(join(world.gatewayFolder, 'tls.crt'), 'utf8'),
      fingerprint: world.gateway.fingerprint,
    });
    world.onClose(() => client.close());
    return client;
  }

  async function sealingKeyOf(client: RelayClient): Promise<SealingKey> {
    const text = (await client.statement()).body.toString();
    const { fingerprint } = world.gateway;
    const result = checkStatement(world.crypto, text, { fingerprint, now: client.now });
    assert.ok('statement' in result);
    return currentSealingKey(result.statement, client.now)!;
  }

  test('what is not TLS is closed', async () => {
    const closed = ['GET / HTTP/1.1\r\n\r\n', '\0'.repeat(500)].map(
      (text) =>
        new Promise((resolve) => {
          const socket = connect(world.gateway.port, HOST, () => socket.write(text));
          socket.on('error', () => {});
          socket.once('close', resolve);
          socket.resume();
        }),
    );
    await Promise.all(closed);
    await phone.wakesUp('friend');
  });

  test('requests that are not as they should be get a problem of the closed list', async () => {
    const batch = encodeBatch([]);
    const { identity, authority, now } = stranger;
    const signed = (body = batch, created = now) => stranger.sign(PATHS.push, body, created);
    const wrongGateway = { authority, path: PATHS.push, body: batch, gateway: 'A'.repeat(43) };
    const tooLarge = { ...signed(NOTHING), 'content-digest': contentDigest(world.crypto, NOTHING) };
    const once = signed();
    const cases: readonly [string, Record<string, string>, Uint8Array, string][] = [
      ['nothing signed', { 'content-type': CONTENT_TYPE }, batch, '401 bad-signature'],
      ['another content type', { ...signed(), 'content-type': 'application/json' }, batch, '415 version'],
      ['another body', signed(NOTHING), batch, '401 bad-signature'],
      ['an old signature', signed(batch, now - 120), batch, '401 clock'],
      ['a signature from the future', signed(batch, now + 120), batch, '401 clock'],
      [
        'for another gateway',
        signRequest(world.crypto, identity, wrongGateway, now),
        batch,
        '401 bad-signature',
      ],
      ['a body that is too large', tooLarge, new Uint8Array(MAX_BODY_SIZE + 1), '413 too-large'],
      ['a body that is no batch', signed(world.crypto.randomBytes(500)), NOTHING, '401 bad-signature'],
      ['garbage for a signature', { ...signed(), signature: 'sig=:!!:' }, batch, '401 bad-signature'],
    ];
    for (const [what, headers, body, expected] of cases) {
      assert.equal(codeOf(await stranger.send('POST', PATHS.push, headers, body)), expected, what);
    }
    assert.equal((await stranger.send('POST', PATHS.push, once, batch)).status, 200);
    assert.equal(codeOf(await stranger.send('POST', PATHS.push, once, batch)), '409 replay');
    const garbage = world.crypto.randomBytes(500);
    for (const path of [PATHS.push, PATHS.capabilities, PATHS.prove, PATHS.renew]) {
      assert.match(codeOf(await stranger.post(path, garbage)), /^4(00|22) /, path);
    }
    assert.equal((await stranger.send('GET', PATHS.push, {})).status, 404);
    await phone.wakesUp('friend');
  });

  test('made-up capabilities push nothing', async () => {
    const before = world.apns.deliveries.lastSeq;
    const frames = Array.from({ length: 5 }, () =>
      makeFrame({ kind: 'message', capability: world.crypto.randomBytes(256) }),
    );
    const outcomes = await stranger.push(...frames);
    assert.ok(outcomes.every(({ kind }) => kind === 'refused'));
    assert.equal(world.apns.deliveries.lastSeq, before);
  });

  test("floods of strangers end at the newcomers' share; the proven device of another is woken meanwhile", async () => {
    const sealingKey = await sealingKeyOf(stranger);
    const strangers = [stranger, newStranger(), newStranger()];
    const answers: HttpAnswer[] = [];
    const flood = strangers.map(async (client) => {
      for (let n = 0; n < 150; n++) {
        const token = Buffer.from(world.crypto.randomBytes(32)).toString('hex');
        const sealed = client.seal(sealingKey, TOPIC, Buffer.from(token), 'test');
        answers.push(await client.post(PATHS.capabilities, sealed));
      }
    });
    const woken = async (): Promise<void> => {
      for (let n = 0; n < 10; n++) await phone.wakesUp('friend');
    };
    await Promise.all([...flood, woken()]);
    const refused = answers.filter(({ status }) => status === 429);
    assert.ok(refused.length > 0 && refused.length < answers.length);
    assert.ok(refused.every(({ headers }) => Number(headers['retry-after']) >= 1));
  });

  test('made-up tokens that Apple refuses stop the stranger, not the others', async () => {
    world.clock.leap(60_000); // the newcomers' share is whole again
    const client = newStranger();
    const sealingKey = await sealingKeyOf(client);
    const outcomes: string[] = [];
    for (let n = 0; n < 12; n++) {
      const token = Buffer.from(Buffer.from(world.crypto.randomBytes(32)).toString('hex'));
      const answer = await client.post(PATHS.capabilities, client.seal(sealingKey, TOPIC, token, 'test'));
      const { frame } = client.verification(answer.body.subarray(0, 256));
      const [outcome] = await client.push(frame);
      outcomes.push(`${outcome!.kind} ${outcome!.reason}`);
    }
    assert.equal(outcomes[0], 'dead bad');
    assert.equal(outcomes.at(-1), 'later budget');
    await phone.wakesUp('friend');
    assert.equal(await world.metric('gateway', 'apns_breakers_open'), 0);
  });
});
