/**
 * No secret leaves memory (design §1): known ones are planted, a phone's whole life runs through both services at
 * log level debug, errors included, and then logs, metrics, answers and files are searched.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { latin1, toHex, utf8 } from '../../shared/encoding/bytes.js';
import { CONTENT_TYPE } from '../../shared/relay/constants.js';
import { naclCrypto } from '../../shared/sdk/nacl.js';
import { openPush } from '../../shared/sdk/open.js';
import { native } from '../support/crypto.js';
import { recordKeys } from '../support/key-recorder.js';
import { filesBelow, formsOf, keysIn, secretsIn } from '../support/secret-search.js';
import { connectClient } from '../support/world/client.js';
import { eventuallyLater } from '../support/world/eventually.js';
import { TestPhone } from '../support/world/phone.js';
import { HOST, startWorld, type World } from '../support/world/world.js';

/** A keyed hash, a time and a checksum. */
const REVOKED_RECORD = 36;

describe('secrets', () => {
  /** Where this process makes temporary files, so that those are searched as well. */
  const temporary = mkdtempSync(join(tmpdir(), 'porchlight-privacy-'));
  const { TMPDIR } = process.env;
  const recorder = recordKeys(native);
  /** What belongs to a user: on no disk, whatever the file's mode. */
  const planted = new Map<string, Uint8Array>();
  /** What peers were told: error replies, HTTP answers, messages of errors. */
  const answers: string[] = [];
  let world: World;
  let filesBefore: ReturnType<typeof filesBelow>;
  let ownKeys: Set<string>;

  before(async () => {
    process.env.TMPDIR = temporary;
    world = await startWorld({ crypto: recorder.crypto });
    await eventuallyLater(
      world.clock,
      'readiness',
      async () => (await observed('subscriber', '/readyz')) === 'ready\n',
    );
    filesBefore = serviceFiles();
    ownKeys = new Set(recorder.secrets.keys());
    await life();
  });
  after(async () => {
    await world.close();
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
    rmSync(temporary, { recursive: true, force: true });
  });

  /** Everything but what stands for Apple. */
  function serviceFiles(): ReturnType<typeof filesBelow> {
    return filesBelow(temporary).filter(({ path }) => !path.startsWith(join(world.folder, 'apns/')));
  }

  const observed = async (service: 'gateway' | 'subscriber', path: string): Promise<string> =>
    (await fetch(`http://${HOST}:${world[service].observePort}${path}`)).text();

  async function life(): Promise<void> {
    const phone = new TestPhone(world);
    plant('device token, text', utf8(phone.token));
    plant('device token, bytes', Buffer.from(phone.token, 'hex'));
    await phone.register();
    await phone.follow('ed25519');
    await phone.follow('x25519', world.messagingServers[0]!, 'x25519');
    plantPhone(phone);
    await phone.wakesUp('ed25519');
    await phone.wakesUp('x25519');
    await troubleOnTheWay(phone);
    await hostileInput(phone);
    await theEnd(phone);
  }

  function plant(name: string, secret: Uint8Array): void {
    planted.set(name, Uint8Array.from(secret));
  }

  function plantPhone(phone: TestPhone): void {
    const { device } = phone.sdk.save();
    const { authKey, dhKey, registered } = device!;
    plant('authorisation key', authKey.privateKey.subarray(0, 32));
    plant('DH key', dhKey.privateKey);
    plant('DH secret', registered!.dhSecret);
    plant('token id', registered!.tokenId);
    for (const [name, queue] of phone.queues) {
      plant(`${name}: notifier id`, queue.notifier.id);
      plant(`${name}: notifier key`, queue.notifier.key.raw);
      plant(`${name}: metadata secret`, queue.notifier.secret);
      plant(`${name}: recipient id`, queue.recipientId);
      plant(`${name}: sender id`, queue.senderId);
      plant(`${name}: subscription id`, phone.sdk.subscription(name)!.subscriptionId!);
    }
    const code = openPush(naclCrypto, registered!.dhSecret, phone.pushes[0]!.delivery.payload);
    assert.equal(code.kind, 'verification');
    if (code.kind === 'verification') plant('code', code.code);
  }

  /** Apple refuses and is away, the gateway restarts, a messaging server is not there. */
  async function troubleOnTheWay(phone: TestPhone): Promise<void> {
    const answer = { status: 500, reason: 'InternalServerError' };
    world.apns.script.add({ on: 'push', times: 2, fault: { answer } });
    await phone.receive('ed25519');
    await world.apns.down();
    await phone.receive('x25519');
    await world.apns.up();
    await world.restartGateway();
    const told = phone.pushes.length;
    await eventuallyLater(world.clock, 'a push', () => phone.pushes.length > told);
    const notifierId = world.crypto.randomBytes(24);
    const keyHash = world.crypto.randomBytes(32);
    const raw = world.crypto.randomBytes(32);
    plant('unreachable: notifier id', notifierId);
    plant('unreachable: key', raw);
    const server = { hosts: [HOST, 'unreachable.invalid'], port: '1', keyHash };
    await phone.sdk.subscribe('unreachable', {
      queue: { server, notifierId },
      notifierKey: { algorithm: 'ed25519', raw },
      metadataSecret: world.crypto.randomBytes(32),
    });
    const failed = () => world.metric('subscriber', 'smp_connects_total{outcome="unreachable"}');
    await eventuallyLater(world.clock, 'a failed attempt', async () => (await failed()) > 0);
    world.messagingServers[0]!.dropConnections();
    await eventuallyLater(
      world.clock,
      'back',
      () => world.messagingServers[0]!.counters().subscriptions === 2,
    );
  }

  /** Every secret where it does not belong: in wrong commands, paths, headers and bodies. */
  async function hostileInput(phone: TestPhone): Promise<void> {
    const client = await connectClient(world);
    const { key, entityId } = phone.authority;
    const wrong = world.crypto.randomBytes(32);
    answers.push(await client.text({ word: 'TVFY', code: wrong }, { key, entityId }));
    for (const secret of planted.values()) {
      for (const command of [
        secret,
        Buffer.concat([utf8('TVFY '), secret]),
        Buffer.concat([utf8('SNEW '), secret]),
      ]) {
        answers.push(JSON.stringify((await client.send(command, { key, entityId })).response));
      }
      client.writeContent(secret);
      for (const { response } of await client.replies()) answers.push(JSON.stringify(response));
      const stranger = { key: { algorithm: 'ed25519', raw: wrong } as const, entityId: secret };
      answers.push(await client.text({ word: 'TCHK' }, stranger));
      await http(secret);
    }
    client.close();
    for (const service of ['gateway', 'subscriber'] as const) {
      answers.push(await observed(service, `/${phone.token}?token=${phone.token}`));
    }
  }

  /** To the gateway, as whoever stole something might. */
  async function http(secret: Uint8Array): Promise<void> {
    const text = toHex(secret);
    const certificate = readFileSync(join(world.gatewayFolder, 'tls.crt'));
    for (const [method, path] of [
      ['GET', `/${text}`],
      ['POST', `/v1/push?${text}`],
      ['POST', '/v1/capabilities'],
    ] as const) {
      const heard = await new Promise<string>((resolve, reject) => {
        const headers = {
          signature: text,
          'signature-input': text,
          'porchlight-gateway': text,
          'content-type': CONTENT_TYPE,
          connection: 'close',
        };
        const target = { host: HOST, servername: 'localhost', port: world.gateway.port, ca: certificate };
        const outgoing = request({ ...target, method, path, headers }, (incoming) => {
          const parts = [JSON.stringify(incoming.headers)];
          incoming.on('data', (chunk: Buffer) => parts.push(latin1(chunk)));
          incoming.on('end', () => resolve(parts.join('\n')));
        });
        outgoing.on('error', reject);
        outgoing.end(Buffer.from(secret));
      });
      answers.push(heard);
    }
  }

  /** Apple says that the token is dead; the phone unregisters. */
  async function theEnd(phone: TestPhone): Promise<void> {
    const device = world.apns.devices.find('test', phone.token)!;
    world.clock.leap(3_600_000);
    device.gone = { reason: 'Unregistered', at: world.clock.now() };
    await phone.receive('ed25519');
    const dead = () => world.metric('subscriber', 'wake_invalid_total{reason="unregistered"}');
    await eventuallyLater(world.clock, '410', async () => (await dead()) === 1);
    await phone.sdk.unregister();
  }

  const allSecrets = () => new Map([...planted, ...recorder.secrets]);

  test('the search finds what is there, in every form', () => {
    const secret = native.randomBytes(32);
    for (const form of formsOf(secret)) {
      assert.deepEqual(secretsIn(Buffer.concat([Buffer.from('{"x":"'), form]), new Map([['it', secret]])), [
        'it',
      ]);
    }
    for (const [start, end] of [
      [7, 5],
      [8, 4],
      [9, 3],
    ] as const) {
      const around = Buffer.concat([native.randomBytes(start), secret, native.randomBytes(end)]);
      const text = around.toString('base64url');
      assert.deepEqual(secretsIn(text, new Map([['it', secret]])), ['it']);
    }
    const apple = JSON.stringify(world.apns.deliveries.read());
    assert.deepEqual(secretsIn(apple, planted), ['device token, text', 'device token, bytes']);
    assert.ok(recorder.secrets.size > 50, `${recorder.secrets.size}`);
    assert.ok(planted.size > 15 && answers.length > 100);
  });

  test('no log line contains one', () => {
    assert.ok(world.logLines.length > 20 && world.logLines.some((line) => line.includes('signal received')));
    assert.deepEqual(secretsIn(world.logLines.join(''), allSecrets()), []);
  });

  test('no metric, and no page of the second listeners', async () => {
    for (const service of ['gateway', 'subscriber'] as const) {
      for (const path of ['/metrics', '/readyz', '/healthz']) {
        assert.deepEqual(secretsIn(await observed(service, path), allSecrets()), [], `${service} ${path}`);
      }
    }
  });

  test('no answer and no error', () => {
    assert.ok(
      answers.some((text) => text.includes('AUTH')) && answers.some((text) => text.includes('bad-signature')),
    );
    assert.deepEqual(secretsIn(answers.join('\n'), allSecrets()), []);
  });

  test('no file: all are what they were before the first phone came, but for hashes of what was revoked', () => {
    const files = serviceFiles();
    const isRevoked = (path: string): boolean => dirname(path).endsWith('gateway/state/revoked');
    assert.deepEqual(
      files
        .filter(({ path }) => !isRevoked(path))
        .map(({ path, content }) => [path, toHex(native.sha256(content))]),
      filesBefore.map(({ path, content }) => [path, toHex(native.sha256(content))]),
    );
    const revoked = files.filter(({ path }) => isRevoked(path));
    assert.deepEqual(
      revoked.map(({ mode, content }) => [mode, content.length % REVOKED_RECORD]),
      [[0o600, 0]],
    );
    const users = new Map([...allSecrets()].filter(([name]) => !ownKeys.has(name)));
    for (const { path, content } of files) {
      assert.deepEqual(secretsIn(content, planted), [], path);
      assert.deepEqual(secretsIn(path, users), [], path);
    }
  });

  test("the services' own keys are in files that only their owner reads, and nowhere else", () => {
    const files = serviceFiles();
    const keys = keysIn(files);
    for (const { path, mode } of files) if (keys.has(path)) assert.equal(mode, 0o600, path);
    assert.ok(keys.size >= 8, `${keys.size}`);
    for (const { path, content } of files) {
      assert.deepEqual(secretsIn(content, keys), keys.has(path) ? [path] : [], path);
    }
    const said = [world.logLines.join(''), answers.join('\n')].join('\n');
    assert.deepEqual(secretsIn(said, keys), []);
  });
});
