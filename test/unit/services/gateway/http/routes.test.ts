import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { Admission } from '../../../../../services/gateway/http/admission.js';
import { createRoutes, type RoutesOptions } from '../../../../../services/gateway/http/routes.js';
import { ONION_BLOCK } from '../../../../../services/gateway/limits/addresses.js';
import { Nonces } from '../../../../../services/gateway/limits/nonces.js';
import { Subscribers } from '../../../../../services/gateway/limits/subscribers.js';
import { gatewayMetrics } from '../../../../../services/gateway/metrics.js';
import { MALFORMED } from '../../../../../services/gateway/push/outcomes.js';
import type { Crypto } from '../../../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import { concat } from '../../../../../shared/encoding/bytes.js';
import { ANSWER_SIZE, encodeBatch, type Frame, type Outcome } from '../../../../../shared/relay/batch.js';
import { CONTENT_TYPE, PATHS } from '../../../../../shared/relay/constants.js';
import { PROBLEM_TYPE, parseProblem } from '../../../../../shared/relay/problem.js';
import { signRequest } from '../../../../../shared/relay/signature.js';
import { seconds, VirtualClock } from '../../../../../shared/run/clock.js';
import { silentLog } from '../../../../../shared/run/log.js';
import { Metrics } from '../../../../../shared/run/metrics.js';
import { addressesFor, directClients, rosterFor } from '../../../../support/admission.js';
import { makeFrame } from '../../../../support/frames.js';

const SECRET = 'this stands in no answer';

/** What answers to batches are written to. */
class Outgoing {
  destroyed = false;
  hasEnded = false;
  status = 0;
  headers: Record<string, string> = {};
  readonly records: Uint8Array[] = [];

  writeHead(status: number, headers: Record<string, string>): void {
    this.status = status;
    this.headers = headers;
  }

  write(records: Uint8Array): void {
    this.records.push(records);
  }

  end(): void {
    this.hasEnded = true;
  }
}

/** Until records of this turn have been written. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

let crypto: Crypto;
before(async () => {
  crypto = await loadCrypto();
});

/** The endpoints without a socket; `parts` replace what lies behind them. */
function setUp(
  parts: Partial<RoutesOptions> = {},
  limits: { nonces?: number; rate?: number; requests?: number } = {},
  using: Crypto = crypto,
) {
  const clock = new VirtualClock();
  const { nonces = 100, rate = 100, requests = 10 } = limits;
  const subscribers = new Subscribers({
    clock,
    nonces,
    rate,
    newcomerRate: rate,
    requests,
    newcomerRequests: requests,
    capacity: 10,
  });
  const addresses = addressesFor({ clock });
  const shared = { crypto: using, clock, subscribers, addresses, log: silentLog };
  const admission = new Admission({
    ...shared,
    nonces: new Nonces(1000),
    fingerprint: 'g',
    roster: rosterFor(crypto),
    noncesSince: 0,
  });
  const routes = createRoutes({
    ...shared,
    admission,
    clients: directClients,
    metrics: new Metrics('test_').add(gatewayMetrics),
    capabilities: {} as RoutesOptions['capabilities'],
    pusher: {} as RoutesOptions['pusher'],
    revoking: {} as RoutesOptions['revoking'],
    statement: () => 'statement',
    ...parts,
  });
  const key = crypto.ed25519KeyPair();
  const outgoing = new Outgoing();
  const request = (path: string, init: RequestInit) =>
    routes.request(path, { method: 'POST', ...init }, { outgoing });
  const post = (path: string, body: Uint8Array) => {
    const signed = signRequest(crypto, key, { authority: 'host', path, body, gateway: 'g' }, seconds(clock));
    const headers = { ...signed, host: 'host', 'content-length': String(body.length) };
    return request(path, { headers, body: body as Uint8Array<ArrayBuffer> });
  };
  return { clock, routes, outgoing, post };
}

const codeOf = async (response: Response) => parseProblem(await response.text());

describe('endpoints', () => {
  test('an unexpected failure is `unavailable`, and says nothing of itself', async () => {
    const fail = () => {
      throw new Error(SECRET);
    };
    const capabilities = { exchange: fail, renew: fail } as unknown as RoutesOptions['capabilities'];
    const { routes, post } = setUp({ statement: fail, capabilities });
    for (const response of [
      await routes.request(PATHS.gateway),
      await post(PATHS.capabilities, new Uint8Array(229)),
      await post(PATHS.renew, new Uint8Array(256)),
    ]) {
      assert.equal(response.status, 503);
      assert.equal(response.headers.get('content-type'), PROBLEM_TYPE);
      const text = await response.text();
      assert.equal(parseProblem(text), 'unavailable');
      assert.ok(!text.includes(SECRET) && !JSON.stringify([...response.headers]).includes(SECRET));
    }
  });

  test('the statement is kept from an address whose checks failed, not from all who come through Tor', async () => {
    const addresses = addressesFor();
    const clients = { isProxy: () => false, blockOf: () => '192.0.2.1' };
    const { routes } = setUp({ addresses, clients });
    for (const block of ['192.0.2.1', ONION_BLOCK]) for (let n = 0; n < 20; n++) addresses.failed(block);
    const direct = await routes.request(PATHS.gateway);
    assert.equal(`${direct.status} ${direct.headers.get('retry-after')}`, '429 1');
    assert.equal((await routes.request(PATHS.gateway, {}, { pool: ONION_BLOCK })).status, 200);
  });

  test('a hello is answered with an empty body', async () => {
    const { outgoing, post } = setUp();
    await post(PATHS.push, encodeBatch([]));
    const { status, headers, hasEnded, records } = outgoing;
    assert.deepEqual([status, headers['content-type'], hasEnded], [200, CONTENT_TYPE, true]);
    assert.deepEqual(records, []);
  });

  test('frames are overwritten when the last one is done', async () => {
    const frames: Frame[] = [];
    const sinks: ((outcome: Outcome) => void)[] = [];
    const pusher = {
      push(frame: Frame, _: unknown, done: (outcome: Outcome) => void) {
        frames.push(frame);
        sinks.push(done);
      },
    } as unknown as RoutesOptions['pusher'];
    await setUp({ pusher }).post(PATHS.push, encodeBatch([makeFrame(), makeFrame()]));
    const isThere = () => frames.map(({ payload, capability }) => [...payload, ...capability].some(Boolean));
    sinks[0]!(MALFORMED);
    assert.deepEqual(isThere(), [true, true]);
    sinks[1]!(MALFORMED);
    assert.deepEqual(isThere(), [false, false]);
  });

  test('a full memory of nonces is 429 with Retry-After', async () => {
    const { post } = setUp({}, { nonces: 1 });
    assert.equal((await post(PATHS.push, encodeBatch([]))).status, 200);
    const response = await post(PATHS.push, encodeBatch([]));
    assert.equal(response.status, 429);
    assert.equal(response.headers.get('retry-after'), '60');
  });

  test('an allowance that is used up is 429 until it is there again', async () => {
    const { clock, post } = setUp({}, { rate: 1 });
    for (let i = 0; i < 10; i++) assert.equal((await post(PATHS.push, encodeBatch([]))).status, 200);
    const response = await post(PATHS.push, encodeBatch([]));
    assert.equal(response.headers.get('retry-after'), '1');
    assert.equal(await codeOf(response), 'rate');
    await clock.advance(1000);
    assert.equal((await post(PATHS.push, encodeBatch([]))).status, 200);
  });

  test('a request ends when its last frame is done, not before', async () => {
    const waiting: (() => void)[] = [];
    const pusher = {
      push: (_frame: unknown, _signer: unknown, done: (outcome: object) => void) =>
        waiting.push(() => done({ kind: 'accepted', reason: 'none', after: 0 })),
    } as unknown as RoutesOptions['pusher'];
    const { outgoing, post } = setUp({ pusher }, { requests: 1 });
    await post(PATHS.push, encodeBatch([makeFrame(), makeFrame()]));
    waiting[1]!();
    await turn();
    assert.deepEqual([outgoing.status, outgoing.records.length, outgoing.hasEnded], [200, 1, false]);
    assert.equal((await post(PATHS.push, encodeBatch([]))).status, 429, 'one request is still running');
    waiting[0]!();
    await turn();
    assert.equal(concat(...outgoing.records).length, 2 * ANSWER_SIZE);
    assert.equal(outgoing.hasEnded, true);
    assert.equal((await post(PATHS.push, encodeBatch([]))).status, 200);
  });

  test('records of one turn leave together', async () => {
    const pusher = {
      push: (_frame: unknown, _signer: unknown, done: (outcome: object) => void) => done(MALFORMED),
    } as unknown as RoutesOptions['pusher'];
    const { outgoing, post } = setUp({ pusher });
    await post(PATHS.push, encodeBatch([makeFrame(), makeFrame()]));
    await turn();
    assert.deepEqual(
      outgoing.records.map(({ length }) => length),
      [2 * ANSWER_SIZE],
    );
  });

  test('outcomes of a reader that has gone are dropped, and the request still ends', async () => {
    const waiting: (() => void)[] = [];
    const pusher = {
      push: (_frame: unknown, _signer: unknown, done: (outcome: object) => void) =>
        waiting.push(() => done({ kind: 'accepted', reason: 'none', after: 0 })),
    } as unknown as RoutesOptions['pusher'];
    const { outgoing, post } = setUp({ pusher }, { requests: 1 });
    await post(PATHS.push, encodeBatch([makeFrame()]));
    outgoing.destroyed = true;
    waiting[0]!();
    await turn();
    assert.deepEqual(outgoing.records, []);
    assert.equal((await post(PATHS.push, encodeBatch([]))).status, 200);
  });

  test('what is meant for another gateway costs no signature check', async () => {
    let verified = 0;
    const counting = {
      ...crypto,
      ed25519Verify: (...args: Parameters<Crypto['ed25519Verify']>) => {
        verified++;
        return crypto.ed25519Verify(...args);
      },
    };
    const { routes, clock, post } = setUp({}, {}, counting);
    const body = encodeBatch([]);
    const other = { authority: 'host', path: PATHS.push, body, gateway: 'another' };
    const signed = signRequest(crypto, crypto.ed25519KeyPair(), other, seconds(clock));
    const headers = { ...signed, host: 'host', 'content-length': String(body.length) };
    const refused = await routes.request(PATHS.push, {
      method: 'POST',
      headers,
      body: body as Uint8Array<ArrayBuffer>,
    });
    assert.equal(await codeOf(refused), 'bad-signature');
    assert.equal(verified, 0);
    assert.equal((await post(PATHS.push, body)).status, 200);
    assert.equal(verified, 1);
  });

  test('a body without its length, or of another type, is refused unread', async () => {
    const { routes } = setUp();
    const send = (headers: Record<string, string>) =>
      routes.request(PATHS.push, { method: 'POST', headers, body: new Uint8Array(8) });
    assert.equal(await codeOf(await send({ 'content-type': CONTENT_TYPE })), 'bad-request');
    assert.equal(await codeOf(await send({ 'content-type': 'application/json' })), 'version');
    const large = { 'content-type': CONTENT_TYPE, 'content-length': String(1024 * 1024 + 1) };
    assert.equal((await send(large)).status, 413);
  });
});
