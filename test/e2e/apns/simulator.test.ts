/** The simulator over real sockets: connection rules, the control plane, and other clients than ours. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2';
import { afterEach, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { signToken } from '../../../services/gateway/apns/provider-token.js';
import { seconds, systemClock, VirtualClock } from '../../../shared/run/clock.js';
import {
  device,
  KEY,
  startWorld,
  TEAM,
  TOPIC,
  type World,
  type WorldOptions,
} from '../../support/apns/setup.js';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function start(options: WorldOptions = {}): Promise<World> {
  const world = await startWorld(options);
  open.push(() => world.simulator.close());
  return world;
}

async function client(
  world: World,
  environment: 'production' | 'sandbox' = 'production',
): Promise<ClientHttp2Session> {
  const { simulator } = world;
  const session = connectHttp2(`https://127.0.0.1:${simulator.ports[environment]}`, { ca: simulator.ca });
  open.push(() => session.destroy());
  session.on('error', () => {});
  await once(session, 'remoteSettings');
  return session;
}

const jwt = (world: World): string =>
  signToken({ keyId: KEY, teamId: TEAM, privateKey: () => world.key.privateKey }, seconds(world.clock));

interface Answer {
  headers: IncomingHttpHeaders;
  body: { reason?: string; timestamp?: number };
}

async function post(
  session: ClientHttp2Session,
  headers: Record<string, string | string[]>,
  body = '{"aps":{"alert":"x"}}',
): Promise<Answer> {
  const stream = session.request({ ':method': 'POST', ...headers });
  stream.end(body);
  const response = await new Promise<IncomingHttpHeaders>((resolve, reject) => {
    stream.once('response', resolve);
    stream.once('error', reject);
    stream.once('close', () => reject(new Error('closed without an answer')));
  });
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  return { headers: response, body: text === '' ? {} : JSON.parse(text) };
}

const headersFor = (world: World, token: string): Record<string, string> => ({
  ':path': `/3/device/${token}`,
  authorization: `bearer ${jwt(world)}`,
  'apns-topic': TOPIC,
  'apns-push-type': 'alert',
});

async function control(
  world: World,
  path: string,
  body: unknown = {},
): Promise<{ status: number; json: Record<string, unknown> }> {
  const response = await fetch(`http://127.0.0.1:${world.simulator.controlPort}${path}`, {
    method: 'POST',
    body: JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, json: text === '' ? {} : JSON.parse(text) };
}

test('one stream, then many after a good push, one again after an error', async () => {
  const world = await start();
  const session = await client(world);
  const limit = (): number | undefined => session.remoteSettings.maxConcurrentStreams;
  const headers = headersFor(world, device(world));
  assert.equal(limit(), 1);
  const opened = once(session, 'remoteSettings');
  assert.equal((await post(session, headers)).headers[':status'], 200);
  await opened;
  assert.equal(limit(), 1000);
  const closed = once(session, 'remoteSettings');
  const { headers: answer, body } = await post(session, { ...headers, ':path': '/3/device/abcd' });
  assert.equal(answer[':status'], 400);
  assert.deepEqual(body, { reason: 'BadDeviceToken' });
  await closed;
  assert.equal(limit(), 1);
});

test('apns-id is echoed or made; the sandbox adds apns-unique-id; 410 has a timestamp', async () => {
  const world = await start();
  const session = await client(world, 'sandbox');
  const token = device(world, 'sandbox');
  const headers = headersFor(world, token);
  const id = '123e4567-e89b-12d3-a456-426655440000';
  const echoed = await post(session, { ...headers, 'apns-id': id });
  assert.equal(echoed.headers['apns-id'], id);
  const made = await post(session, headers);
  assert.match(String(made.headers['apns-id']), /^[0-9a-f-]{36}$/);
  assert.match(String(made.headers['apns-unique-id']), /^[0-9a-f-]{36}$/);
  await control(world, '/devices/unregister', { environment: 'sandbox', token, at: 1234567 });
  assert.deepEqual((await post(session, headers)).body, { reason: 'Unregistered', timestamp: 1234567 });
  assert.equal((await post(session, { ...headers, authorization: [] })).body.reason, 'MissingProviderToken');
});

test('serves a client without ALPN and SNI', async () => {
  const world = await start();
  const { simulator } = world;
  const port = simulator.ports.production!;
  const socket = connectTls({
    host: '127.0.0.1',
    port,
    ca: simulator.ca,
    checkServerIdentity: () => undefined,
  });
  await once(socket, 'secureConnect');
  assert.equal(socket.alpnProtocol, false);
  const session = connectHttp2(`https://127.0.0.1:${port}`, { createConnection: () => socket });
  open.push(() => session.destroy());
  assert.equal((await post(session, headersFor(world, device(world)))).headers[':status'], 200);
});

test('too many bad tokens end in GOAWAY with JSON', async () => {
  const world = await start({ rules: { maxBadTokens: 3 } });
  const session = await client(world);
  const goaway = once(session, 'goaway');
  const headers = headersFor(world, 'abcd');
  for (let i = 0; i < 3; i++) await post(session, headers);
  const [code, , data] = (await goaway) as [number, number, Buffer];
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(data.toString()), { reason: 'BadDeviceToken' });
});

test('scripted answers, resets and cuts', async () => {
  const world = await start();
  const session = await client(world);
  const headers = headersFor(world, device(world));
  const rule = (fault: object): object => ({ on: 'push', times: 1, fault });
  await control(world, '/faults/add', [
    rule({ answer: { status: 503, reason: 'Shutdown', retryAfterSeconds: 9 } }),
  ]);
  const answer = await post(session, headers);
  assert.equal(answer.headers['retry-after'], '9');
  assert.deepEqual(answer.body, { reason: 'Shutdown' });
  await control(world, '/faults/add', [rule({ reset: 'refused' })]);
  await assert.rejects(post(session, headers), /REFUSED_STREAM/);
  await control(world, '/faults/add', [rule({ cut: true })]);
  const over = once(session, 'close');
  await assert.rejects(post(session, headers));
  await over;
  assert.equal(world.simulator.deliveries.read().length, 0);
});

test('a simulated phone registers, waits, and gets its push', async () => {
  const world = await start();
  const session = await client(world);
  const { json } = await control(world, '/devices/register', { environment: 'production', topic: TOPIC });
  const token = String(json.token);
  const waiting = control(world, '/deliveries', { token, step: 'delivered', waitMs: 5_000 });
  await post(session, headersFor(world, token));
  const [entry] = (await waiting).json.entries as { payload: string }[];
  assert.equal(entry?.payload, '{"aps":{"alert":"x"}}');
});

test('the control plane refuses what it does not know', async () => {
  const world = await start();
  assert.equal((await control(world, '/nowhere')).status, 404);
  assert.equal(
    (await control(world, '/devices/forget', { environment: 'production', token: 'ab' })).status,
    404,
  );
  assert.equal(
    (await control(world, '/devices/register', { environment: 'moon', topic: TOPIC })).status,
    400,
  );
  assert.equal(
    (await control(world, '/devices/register', { environment: 'production', topic: TOPIC, token: 'x' }))
      .status,
    422,
  );
  assert.equal((await control(world, '/faults/add', [{ on: 'push', fault: { magic: true } }])).status, 400);
  assert.equal((await control(world, '/clock/advance', { ms: 1 })).status, 409);
  assert.equal((await control(world, '/devices/register', 'x'.repeat(70_000))).status, 413);
});

test('hours pass through the control plane on a virtual clock', async () => {
  const world = await start({ clock: new VirtualClock() });
  const before = world.clock.now();
  await control(world, '/clock/advance', { ms: 3_600_000 });
  assert.equal(world.clock.now(), before + 3_600_000);
  const session = await client(world);
  const stale = headersFor({ ...world, clock: systemClock }, device(world));
  assert.equal((await post(session, stale)).body.reason, 'ExpiredProviderToken');
});
