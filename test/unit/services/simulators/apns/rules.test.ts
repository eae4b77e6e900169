/** The simulator's rules one by one, without a network. */
import assert from 'node:assert/strict';
import { sign } from 'node:crypto';
import { test } from 'node:test';
import { Authority, ConnectionAuthority } from '../../../../../services/simulators/apns/authority.js';
import { Deliveries, type Delivery } from '../../../../../services/simulators/apns/deliveries.js';
import { DeviceError, Devices } from '../../../../../services/simulators/apns/devices.js';
import {
  SIMULATOR_LIMITS,
  SIMULATOR_RULES,
  type SimulatedTeam,
} from '../../../../../services/simulators/apns/options.js';
import { checkShape, parseRequest, RequestHeaders } from '../../../../../services/simulators/apns/request.js';
import { Script } from '../../../../../services/simulators/apns/script.js';
import { utf8 } from '../../../../../shared/encoding/bytes.js';
import { type Clock, seconds, VirtualClock } from '../../../../../shared/run/clock.js';
import { signingKey } from '../../../../support/apns/setup.js';

const MINUTE = 60_000;

const good: Record<string, string> = {
  ':method': 'POST',
  ':path': '/3/device/abcd',
  'apns-topic': 'app',
  'apns-push-type': 'alert',
};

function request(changes: Record<string, string | undefined>, bytes = 10, extra: string[] = []): string {
  const entries = Object.entries({ ...good, ...changes }).filter((entry) => entry[1] !== undefined);
  const headers = new RequestHeaders([...(entries.flat() as string[]), ...extra]);
  const shape = checkShape(headers);
  if (shape !== undefined) return shape;
  const parsed = parseRequest(headers, bytes);
  return 'status' in parsed ? `${parsed.status} ${parsed.reason}` : 'good';
}

test('headers, path and size', () => {
  const cases: [Record<string, string | undefined>, string, number?][] = [
    [{}, 'good'],
    [{ ':method': 'GET' }, 'MethodNotAllowed'],
    [{ ':path': '/3/device/' }, 'MissingDeviceToken'],
    [{ ':path': '/3/device' }, 'MissingDeviceToken'],
    [{ ':path': '/3/device/ab/cd' }, 'BadPath'],
    [{ ':path': '/4/device/ab' }, 'BadPath'],
    [{ 'apns-id': '123e4567-e89b-12d3-a456-426655440000' }, 'good'],
    [{ 'apns-id': '123E4567-E89B-12D3-A456-426655440000' }, '400 BadMessageId'],
    [{ 'apns-id': '123e4567e89b12d3a456426655440000' }, '400 BadMessageId'],
    [{ 'apns-topic': undefined }, '400 MissingTopic'],
    [{ 'apns-topic': 'a b' }, '400 BadTopic'],
    [{ 'apns-push-type': undefined }, '400 InvalidPushType'],
    [{ 'apns-push-type': 'toString' }, '400 InvalidPushType'],
    [{ 'apns-push-type': 'voip', 'apns-topic': 'app' }, '400 BadTopic'],
    [{ 'apns-push-type': 'voip', 'apns-topic': 'app.voip' }, 'good', 5120],
    [{ 'apns-push-type': 'voip', 'apns-topic': 'app.voip' }, '413 PayloadTooLarge', 5121],
    [{ 'apns-push-type': 'widgets', 'apns-topic': 'app.push-type.widgets' }, 'good'],
    [{ 'apns-priority': '1' }, 'good'],
    [{ 'apns-priority': '7' }, '400 BadPriority'],
    [{ 'apns-push-type': 'background', 'apns-priority': '10' }, '400 BadPriority'],
    [{ 'apns-push-type': 'background' }, '400 BadPriority'],
    [{ 'apns-push-type': 'background', 'apns-priority': '5' }, 'good'],
    [{ 'apns-expiration': '0' }, 'good'],
    [{ 'apns-expiration': '-1' }, '400 BadExpirationDate'],
    [{ 'apns-expiration': 'soon' }, '400 BadExpirationDate'],
    [{ 'apns-collapse-id': 'x'.repeat(64) }, 'good'],
    [{ 'apns-collapse-id': 'x'.repeat(65) }, '400 BadCollapseId'],
    [{ 'apns-collapse-id': Buffer.from('é'.repeat(33)).toString('latin1') }, '400 BadCollapseId'],
    [{}, '400 PayloadEmpty', 0],
    [{}, 'good', 4096],
    [{}, '413 PayloadTooLarge', 4097],
  ];
  for (const [changes, expected, bytes] of cases) {
    assert.equal(request(changes, bytes), expected, JSON.stringify(changes));
  }
  assert.equal(request({}, 10, ['apns-topic', 'app']), 'DuplicateHeaders');
});

const first = signingKey();
const second = signingKey();
const teams: SimulatedTeam[] = [
  {
    teamId: 'TEAM1',
    topics: ['app', 'other'],
    keys: [
      { keyId: 'ANY', publicKey: first.publicKey },
      { keyId: 'SANDBOX', publicKey: first.publicKey, environments: ['sandbox'] },
      { keyId: 'APP', publicKey: first.publicKey, topics: ['app'], relatedKeyId: 'OTHER' },
      { keyId: 'OTHER', publicKey: second.publicKey, topics: ['other'] },
    ],
  },
  { teamId: 'TEAM2', topics: ['app'], keys: [{ keyId: 'ANY', publicKey: second.publicKey }] },
];

interface TokenOptions {
  team?: string;
  kid?: string;
  iat?: unknown;
  alg?: string;
  pair?: ReturnType<typeof signingKey>;
  der?: boolean;
}

function bearer(clock: Clock, options: TokenOptions = {}): string {
  const {
    team = 'TEAM1',
    kid = 'ANY',
    iat = seconds(clock),
    alg = 'ES256',
    pair = first,
    der = false,
  } = options;
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const input = `${part({ alg, kid })}.${part({ iss: team, iat })}`;
  const dsaEncoding = der ? 'der' : 'ieee-p1363';
  const signature = sign('sha256', Buffer.from(input), { key: pair.privateKey, dsaEncoding });
  return `bearer ${input}.${signature.toString('base64url')}`;
}

function connection(rules = SIMULATOR_RULES): {
  clock: VirtualClock;
  authority: Authority;
  on: (header: string | undefined, topic?: string) => string;
} {
  const clock = new VirtualClock();
  const authority = new Authority(teams, rules, clock);
  const link = new ConnectionAuthority(authority, 'production');
  const on = (header: string | undefined, topic = 'app'): string => {
    const verified = link.authenticate(header);
    if ('status' in verified) return `${verified.status} ${verified.reason}`;
    return link.authorize(verified, topic)?.reason ?? 'good';
  };
  return { clock, authority, on };
}

test('provider tokens: shape, signature, key and age', () => {
  const cases: [TokenOptions, string][] = [
    [{}, 'good'],
    [{ der: true }, 'good'],
    [{ pair: second }, '403 InvalidProviderToken'],
    [{ alg: 'HS256' }, '403 InvalidProviderToken'],
    [{ kid: 'NONE' }, '403 InvalidProviderToken'],
    [{ team: 'NONE' }, '403 InvalidProviderToken'],
    [{ iat: '1800000000' }, '403 InvalidProviderToken'],
    [{ iat: 1_800_000_000 - 3_600 }, 'good'],
    [{ iat: 1_800_000_000 - 3_601 }, '403 ExpiredProviderToken'],
    [{ iat: 1_800_000_000 + 3_600 }, 'good'],
    [{ iat: 1_800_000_000 + 3_601 }, '403 InvalidProviderToken'],
    [{ kid: 'SANDBOX' }, '403 BadEnvironmentKeyIdInToken'],
  ];
  for (const [options, expected] of cases) {
    const { clock, on } = connection();
    assert.equal(on(bearer(clock, options)), expected, JSON.stringify(options));
  }
  const { clock, authority, on } = connection();
  assert.equal(on(undefined), '403 MissingProviderToken');
  assert.equal(on(bearer(clock).replace('bearer', 'Bearer')), '403 InvalidProviderToken');
  assert.equal(on('bearer x.y'), '403 InvalidProviderToken');
  on(bearer(clock, { der: true }));
  assert.equal(authority.derSignatures, 1);
});

test('a second token within 20 minutes is too many; the old one still works', async () => {
  const { clock, on } = connection();
  const old = bearer(clock);
  assert.equal(on(old), 'good');
  await clock.advance(20 * MINUTE - 1);
  const fresh = bearer(clock);
  assert.equal(on(fresh), '429 TooManyProviderTokenUpdates');
  assert.equal(on(old), 'good');
  await clock.advance(1);
  assert.equal(on(fresh), 'good');
});

test('an expired token makes the connection useless, unless the rule is off', async () => {
  for (const wedgeOnExpiredToken of [true, false]) {
    const { clock, on } = connection({ ...SIMULATOR_RULES, wedgeOnExpiredToken });
    const old = bearer(clock);
    on(old);
    await clock.advance(61 * MINUTE);
    assert.equal(on(old), '403 ExpiredProviderToken');
    assert.equal(on(bearer(clock)), wedgeOnExpiredToken ? '403 ExpiredProviderToken' : 'good');
  }
});

test('the first push binds the connection to team and key', async () => {
  const next = async (one: TokenOptions, two: TokenOptions, topic?: string): Promise<string> => {
    const { clock, on } = connection();
    assert.equal(on(bearer(clock, one)), 'good');
    await clock.advance(21 * MINUTE);
    return on(bearer(clock, two), topic);
  };
  assert.equal(await next({}, { team: 'TEAM2', pair: second }), '403 InvalidProviderToken');
  assert.equal(await next({}, { kid: 'APP' }), '403 UnrelatedKeyIdInToken');
  assert.equal(await next({ kid: 'APP' }, {}), '403 UnrelatedKeyIdInToken');
  assert.equal(await next({ kid: 'APP' }, { kid: 'OTHER', pair: second }, 'other'), 'good');
  const { clock, on } = connection();
  const token = bearer(clock, { kid: 'APP' });
  assert.equal(on(token, 'other'), 'InvalidProviderToken');
  assert.equal(on(token, 'foreign'), 'TopicDisallowed');
});

function phone(rules = SIMULATOR_RULES) {
  const clock = new VirtualClock();
  const devices = new Devices(rules, clock, 10);
  const deliveries = new Deliveries(rules, SIMULATOR_LIMITS, clock);
  const device = devices.register({ environment: 'production', topic: 'app' });
  let sent = 0;
  const send = (more: Partial<Delivery> = {}, aps: object = { alert: 'x' }): void => {
    const payload = JSON.stringify({ aps, n: sent++ });
    const push: Delivery = {
      environment: 'production',
      token: device.token,
      topic: 'app',
      pushType: 'alert',
      priority: 10,
      expiration: undefined,
      collapseId: undefined,
      apnsId: `${sent}`,
      uniqueId: undefined,
      payload,
      ...more,
    };
    deliveries.accept(device, push, utf8(payload));
  };
  const steps = (): string[] =>
    deliveries.read().map(({ apnsId, step, why }) => `${apnsId} ${step}${why ? ` ${why}` : ''}`);
  return { clock, devices, deliveries, device, send, steps };
}

test('a token is of one environment and one topic, in any case and of any length', () => {
  const { devices, device, clock } = phone();
  const judge = (...args: Parameters<Devices['judge']>): unknown => {
    const answer = devices.judge(...args);
    return 'status' in answer ? answer.reason : 'good';
  };
  assert.equal(judge('production', device.token.toUpperCase(), 'app'), 'good');
  assert.equal(judge('sandbox', device.token, 'app'), 'BadDeviceToken');
  assert.equal(judge('production', device.token, 'other'), 'DeviceTokenNotForTopic');
  assert.equal(judge('production', `${device.token}ab`, 'app'), 'BadDeviceToken');
  const long = devices.register({ environment: 'test', topic: 'app', token: 'any_text' });
  assert.equal(judge('test', long.token, 'app'), 'good');
  device.gone = { reason: 'Unregistered', at: clock.now() };
  assert.deepEqual(devices.judge('production', device.token, 'app'), {
    status: 410,
    reason: 'Unregistered',
    timestamp: clock.now(),
  });
  assert.throws(
    () => devices.register({ environment: 'production', topic: 'app', token: 'xyz' }),
    DeviceError,
  );
  for (let i = devices.size; i < 10; i++)
    devices.register({ environment: 'production', topic: 'app', tokenBytes: 80 });
  assert.throws(() => devices.register({ environment: 'production', topic: 'app' }), DeviceError);
});

test('429 for a device that gets too much, and only for that one', async () => {
  const { devices, device, clock } = phone({ ...SIMULATOR_RULES, deviceRate: { count: 2, windowMs: 1_000 } });
  const judge = (token: string): boolean => 'status' in devices.judge('production', token, 'app');
  assert.deepEqual([judge(device.token), judge(device.token), judge(device.token)], [false, false, true]);
  assert.equal(judge(devices.register({ environment: 'production', topic: 'app' }).token), false);
  await clock.advance(1_000);
  assert.equal(judge(device.token), false);
});

test('offline: one push is stored, the newest, until it expires; expiration 0 is never stored', async () => {
  const { clock, deliveries, device, send, steps } = phone();
  deliveries.setOnline(device, false);
  send();
  send({ expiration: seconds(clock) + 10 });
  send({ expiration: 0 });
  deliveries.setOnline(device, true);
  deliveries.setOnline(device, false);
  send({ expiration: seconds(clock) + 10 });
  await clock.advance(10_000);
  deliveries.setOnline(device, true);
  assert.deepEqual(steps(), [
    '1 stored',
    '1 replaced',
    '2 stored',
    '3 expired not stored',
    '2 delivered',
    '4 stored',
    '4 expired',
  ]);
});

test('three background pushes an hour; then the newest is held until budget, launch or quit', async () => {
  const { clock, deliveries, device, send, steps } = phone();
  const silent = (): void => send({ pushType: 'background', priority: 5 }, { 'content-available': 1 });
  for (let i = 0; i < 5; i++) silent();
  assert.deepEqual(steps().slice(3), ['4 held', '4 replaced', '5 held']);
  send();
  assert.equal(steps().at(-1), '6 delivered', 'alerts have no budget');
  await clock.advance(60 * MINUTE);
  assert.equal(steps().at(-1), '5 delivered');
  for (let i = 0; i < 3; i++) silent();
  deliveries.launch(device);
  assert.equal(steps().at(-1), '9 delivered launch');
  silent();
  deliveries.quit(device);
  assert.equal(steps().at(-1), '10 dropped quit');
});

test('the end leaves no timer behind, whatever is held', async () => {
  const { clock, deliveries, send } = phone();
  for (let i = 0; i < 5; i++) send({ pushType: 'background', priority: 5 }, { 'content-available': 1 });
  assert.notEqual(clock.pending, 0);
  deliveries.close();
  assert.equal(clock.pending, 0);
});

test('payloads that do not fit their push type vanish', () => {
  const { send, steps } = phone();
  send({}, { 'content-available': 1 });
  send({ pushType: 'background', priority: 5 }, { 'content-available': 1, alert: 'x' });
  assert.deepEqual(steps(), ['1 dropped type-mismatch', '2 dropped type-mismatch']);
});

test('a phone waits for its pushes and is sent home in the end', async () => {
  const { clock, deliveries, device, send } = phone();
  const query = { token: device.token, step: 'delivered' } as const;
  const waiting = deliveries.wait(query, 1_000);
  send();
  assert.equal((await waiting)[0]?.seq, 1);
  assert.equal((await deliveries.wait(query, 1_000)).length, 1, 'what is there is given at once');
  const none = deliveries.wait({ ...query, after: 1 }, 1_000);
  await clock.advance(1_000);
  assert.deepEqual(await none, []);
});

test('the log forgets its oldest entries', () => {
  const { clock } = phone();
  const log = new Deliveries(SIMULATOR_RULES, { ...SIMULATOR_LIMITS, logEntries: 10 }, clock);
  const { device } = phone();
  const push = { ...device, pushType: 'alert', priority: 10 } as unknown as Delivery;
  const body = utf8('{"aps":{"alert":"x"}}');
  for (let i = 0; i < 100; i++) log.accept(device, { ...push, payload: 'x' }, body);
  assert.ok(log.read().length <= 10);
  assert.equal(log.read().at(-1)?.seq, 100);
  assert.equal(log.read({ after: 99 }).length, 1);
});

test('faults: skip, every, times, for a topic or a token', () => {
  const script = new Script(10);
  script.add(
    { on: 'push', topic: 'app', skip: 1, every: 2, times: 2, fault: { stall: true } },
    { on: 'connection', fault: { refuse: true } },
  );
  const acted = Array.from({ length: 8 }, () => script.faults({ on: 'push', topic: 'app' }).length);
  assert.deepEqual(acted, [0, 1, 0, 1, 0, 0, 0, 0]);
  assert.equal(script.faults({ on: 'push', topic: 'other' }).length, 0);
  assert.deepEqual(script.faults({ on: 'connection' }), [{ refuse: true }]);
});
