/**
 * Profile `porchlight` from a messaging server to the app, over real sockets: both services as `init` makes their
 * folders, with the profile set by the environment; Apple's and the messaging server's stand-ins; the SDK as the app.
 */
import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startGateway } from '../../services/gateway/app.js';
import { gatewayConfigSchema } from '../../services/gateway/config.js';
import { makeGateway } from '../../services/gateway/init.js';
import { type ApnsSimulator, startApnsSimulator } from '../../services/simulators/apns/server.js';
import { apnsFiles, SIMULATED_KEY, SIMULATED_TEAM } from '../../services/simulators/files.js';
import { type SmpStandIn, startSmpServer } from '../../services/simulators/smp/server.js';
import { startSubscriber } from '../../services/subscriber/app.js';
import { subscriberConfigSchema } from '../../services/subscriber/config.js';
import { makeSubscriber } from '../../services/subscriber/init.js';
import { loadCrypto } from '../../shared/crypto/load.js';
import { utf8 } from '../../shared/encoding/bytes.js';
import { formatGatewayAddress } from '../../shared/relay/identity.js';
import { systemClock as clock, sleep } from '../../shared/run/clock.js';
import { loadConfig } from '../../shared/run/config.js';
import { silentLog as log } from '../../shared/run/log.js';
import { PorchlightPhone, type PushResult } from '../../shared/sdk/client.js';
import { tlsConnect } from '../../shared/sdk/node/tls-transport.js';
import { parseServer } from '../../shared/smp/address.js';
import { Messenger } from '../support/world/messenger.js';

const TOPIC = 'org.example.messenger';
const HOST = '127.0.0.1';
const ANY_PORT = `${HOST}:0`;
const PORT = 8443;

const crypto = await loadCrypto();
const folder = mkdtempSync(join(tmpdir(), 'porchlight-profile-'));
/** What has to be closed, in this order. */
const closing: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
let apns: ApnsSimulator;
let smp: SmpStandIn;
let phone: PorchlightPhone;
let token: string;

const prefixed = (prefix: string, values: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [prefix + name, value]));

before(async () => {
  const files = apnsFiles(join(folder, 'apns'));
  const ca = readFileSync(files.ca, 'utf8');
  const publicKey = createPublicKey(readFileSync(files.key));
  apns = await startApnsSimulator({
    clock,
    environments: { test: {} },
    certificate: { cert: ca, ca, key: readFileSync(files.tlsKey, 'utf8') },
    teams: [{ teamId: SIMULATED_TEAM, topics: [TOPIC], keys: [{ keyId: SIMULATED_KEY, publicKey }] }],
  });
  closing.unshift(() => apns.close());
  smp = await startSmpServer({ crypto, clock, timing: { deliveryMs: 20, endMs: 20 } });
  closing.unshift(() => smp.close());
  const gatewayPort = await startGatewayFolder(files);
  phone = await startPhone(gatewayPort);
});

after(async () => {
  for (const close of closing) await close();
});

async function startGatewayFolder(files: ReturnType<typeof apnsFiles>) {
  const dir = join(folder, 'gateway');
  await makeGateway(
    {
      dir,
      host: HOST,
      port: PORT,
      topic: TOPIC,
      team: SIMULATED_TEAM,
      apnsKey: files.key,
      apnsKeyId: SIMULATED_KEY,
    },
    { test: { url: `https://localhost:${apns.ports.test}`, caFile: files.ca } },
  );
  const env = prefixed('G_', { LISTEN: ANY_PORT, OBSERVE_LISTEN: ANY_PORT, APPS_0_PROFILE: 'porchlight' });
  const config = loadConfig(gatewayConfigSchema, { file: join(dir, 'gateway.toml'), prefix: 'G_', env });
  const gateway = await startGateway(config, { log, clock });
  closing.unshift(() => gateway.close());
  return formatGatewayAddress({ fingerprint: gateway.fingerprint, host: HOST, port: gateway.port });
}

async function startPhone(gateway: string): Promise<PorchlightPhone> {
  const dir = join(folder, 'subscriber');
  const address = makeSubscriber(
    { dir, gateway, host: HOST, port: PORT, topic: TOPIC },
    { allowNetworks: ['127.0.0.0/8'] },
  );
  const listener = { LISTENERS_0_LISTEN: ANY_PORT, LISTENERS_0_PROFILE: 'porchlight' };
  const env = prefixed('S_', { ...listener, OBSERVE_LISTEN: ANY_PORT, LISTENERS_0_COALESCE_MS: '50' });
  const config = loadConfig(subscriberConfigSchema, {
    file: join(dir, 'subscriber.toml'),
    prefix: 'S_',
    env,
  });
  const subscriber = await startSubscriber(config, { log, clock });
  closing.unshift(() => subscriber.close());
  const { keyHash } = parseServer(address, 'ntf');
  const made = new PorchlightPhone({
    keyHash,
    connect: tlsConnect({ host: HOST, port: subscriber.ports.get('phones')!, keyHash, clock }),
    renewNotifier: () => Promise.reject(new Error('not needed here')),
    clock,
    profile: 'porchlight',
  });
  closing.unshift(() => made.close());
  token = apns.devices.register({ environment: 'test', topic: TOPIC }).token;
  return made;
}

let seen = 0;
/** The next push, as the app sees it. */
async function nextPush(): Promise<{ result: PushResult; payload: string }> {
  const query = { environment: 'test', token, step: 'delivered', after: seen } as const;
  const [delivery] = await apns.deliveries.wait(query, 20_000);
  assert.ok(delivery, 'no push came');
  seen = delivery.seq;
  return { result: await phone.onPush(delivery.payload), payload: delivery.payload };
}

test('registered, verified, subscribed; messages arrive as news, numbered without a gap', async () => {
  // The subscriber may not have reached its gateway yet; then it closes connections.
  for (let tries = 0; phone.status !== 'REGISTERED' && tries < 200; tries++) {
    await phone.register({ provider: 'AT', text: utf8(token) }).catch(() => sleep(clock, 50));
  }
  assert.deepEqual((await nextPush()).result, { kind: 'verification', verified: true });

  const messenger = new Messenger(crypto, smp);
  closing.unshift(() => messenger.close());
  const names = ['alice', 'bob'];
  const queues = new Map<string, Awaited<ReturnType<Messenger['createQueue']>>>();
  for (const name of names) {
    const queue = await messenger.createQueue();
    queues.set(name, queue);
    const { id: notifierId, key: notifierKey, secret: metadataSecret } = queue.notifier;
    await phone.subscribe(name, { queue: { server: smp.address, notifierId }, notifierKey, metadataSecret });
  }
  while (smp.counters().subscriptions < names.length) await sleep(clock, 10);

  for (const name of names) {
    await messenger.send(queues.get(name)!);
    const { result, payload } = await nextPush();
    assert.ok(result.kind === 'messages');
    assert.deepEqual(
      result.news.map((n) => [n.name, n.class]),
      [[name, 'message']],
    );
    assert.equal(result.news[0]!.message?.messageId.length, 24);
    const { aps, ...rest } = JSON.parse(payload);
    assert.equal(aps['mutable-content'], 1);
    assert.deepEqual(Object.keys(rest), ['porchlight']);
    assert.deepEqual(await phone.onPush(payload), { kind: 'ignored' }, 'the same once more');
  }
  assert.deepEqual(phone.delivery, { received: 2, sent: 2, rate: 1 });
});
