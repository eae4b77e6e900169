/** Redis dies, hangs and comes back while two gateways push: nothing is lost or stuck, and each says what it does. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { type Samples, scrape } from '../../services/demo/metrics-text.js';
import { sleep, systemClock } from '../../shared/run/clock.js';
import { makeFrame } from '../support/frames.js';
import { type GatewayPair, startGatewayPair } from '../support/gateway-pair.js';
import { RedisServer } from '../support/redis-server.js';
import { eventually } from '../support/world/eventually.js';

const PREFIX = 'porchlight_gateway_shared_limits_';
const TIMEOUT_MS = 200;
/** What a push may take on a busy machine beside its wait for Redis. */
const PATIENCE_MS = 3_000;

let server: RedisServer;
let pair: GatewayPair;
before(async () => {
  server = await RedisServer.start();
});
after(() => server.close());
beforeEach(async () => {
  pair = await startGatewayPair({ URLS: server.url, TIMEOUT_MS: `${TIMEOUT_MS}` });
  await isShared(true);
});
afterEach(async () => {
  server.thaw();
  await pair.close();
});

const metrics = (): Promise<Samples[]> =>
  Promise.all(pair.gateways.map(({ gateway }) => scrape([gateway.observePort])));

/** Waits until all gateways share, or none. */
const isShared = (wanted: boolean): Promise<void> =>
  eventually(wanted ? 'shared' : 'alone', async () =>
    (await metrics()).every((samples) => samples.sum(`${PREFIX}state`) === (wanted ? 1 : 0)),
  );

/** Pushes to both gateways in turn until told to stop; counts what was accepted, and the longest wait. */
function pushing() {
  const devices = Array.from({ length: 40 }, () => pair.device());
  const sent = { accepted: 0, others: [] as string[], slowest: 0 };
  let stopped = false;
  const one = async (lane: number): Promise<void> => {
    for (let n = lane; !stopped; n++) {
      const { client } = pair.gateways[n % 2]!;
      const { capability } = devices[n % devices.length]!;
      const since = systemClock.monotonic();
      const [outcome] = await client.push(makeFrame({ capability }));
      sent.slowest = Math.max(sent.slowest, systemClock.monotonic() - since);
      if (outcome?.kind === 'accepted') sent.accepted++;
      else sent.others.push(`${outcome?.kind} ${outcome?.kind === 'later' ? outcome.reason : ''}`);
      await sleep(systemClock, 10);
    }
  };
  const lanes = [0, 1, 2, 3].map((lane) => one(lane * 7));
  return {
    async stop() {
      stopped = true;
      await Promise.all(lanes);
      return sent;
    },
  };
}

/** Everything that a gateway let through is at Apple's, and nothing else came back than what limits say. */
async function assertNothingLost(load: ReturnType<typeof pushing>): Promise<void> {
  const { accepted, others, slowest } = await load.stop();
  assert.ok(accepted > 50, `${accepted} accepted`);
  assert.deepEqual(
    others.filter((other) => other !== 'later budget'),
    [],
  );
  assert.ok(slowest < PATIENCE_MS, `${slowest} ms`);
  const delivered = pair.apns.deliveries.read().length;
  assert.ok(delivered >= accepted, `${delivered} of ${accepted}`);
}

describe('Redis under load', () => {
  test('killed and started again', async () => {
    const load = pushing();
    await sleep(systemClock, 500);
    await server.kill();
    await isShared(false);
    const ready = await Promise.all(
      pair.gateways.map(({ gateway }) => fetch(`http://127.0.0.1:${gateway.observePort}/readyz`)),
    );
    assert.deepEqual(
      ready.map(({ status }) => status),
      [200, 200],
    );
    await sleep(systemClock, 500);
    await server.start();
    await isShared(true);
    await sleep(systemClock, 300);
    await assertNothingLost(load);
    for (const samples of await metrics()) {
      assert.equal(samples.sum(`${PREFIX}fallbacks_total`), 1);
      assert.ok(samples.sum(`${PREFIX}frames_total`, { judged: 'alone' }) > 0);
      assert.ok(samples.sum(`${PREFIX}frames_total`, { judged: 'together' }) > 0);
    }
    const warnings = pair.logLines.filter((line) => line.includes('counts its share alone'));
    assert.ok(warnings.length >= 2 && warnings.length <= 4, warnings.join(''));
  });

  test('stopped in the middle of an answer: pushes wait once, then not at all', async () => {
    const load = pushing();
    await sleep(systemClock, 500);
    server.freeze();
    await isShared(false);
    const since = systemClock.monotonic();
    const { capability } = pair.device();
    const [outcome] = await pair.gateways[0]!.client.push(makeFrame({ capability }));
    assert.equal(outcome?.kind, 'accepted');
    assert.ok(systemClock.monotonic() - since < PATIENCE_MS);
    await sleep(systemClock, 1_000);
    server.thaw();
    await isShared(true);
    await assertNothingLost(load);
    for (const samples of await metrics()) {
      assert.equal(samples.sum(`${PREFIX}fallbacks_total`, { reason: 'slow' }), 1);
    }
  });
});
