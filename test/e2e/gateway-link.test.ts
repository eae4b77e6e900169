/** The subscriber's link against a gateway over real HTTPS on loopback. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { GatewayRefusal } from '../../services/subscriber/outbound/gateway-link.js';
import { createGatewayLink, type GatewayLinkOptions } from '../../services/subscriber/outbound/link.js';
import { linkMetrics } from '../../services/subscriber/outbound/metrics.js';
import type { Crypto } from '../../shared/crypto/crypto.js';
import { loadCrypto } from '../../shared/crypto/load.js';
import { toHex } from '../../shared/encoding/bytes.js';
import { encodeAnswer, type Outcome } from '../../shared/relay/batch.js';
import { CONTENT_TYPE, PATHS } from '../../shared/relay/constants.js';
import { systemClock } from '../../shared/run/clock.js';
import { createLog, silentLog } from '../../shared/run/log.js';
import { Metrics } from '../../shared/run/metrics.js';
import {
  ACCEPTED,
  type FakeGateway,
  type FakeGatewayOptions,
  grant,
  refuse,
  type SeenRequest,
  startFakeGateway,
} from '../support/fake-gateway.js';
import { makeFrame } from '../support/frames.js';

let crypto: Crypto;
const cleanups: (() => Promise<void>)[] = [];
before(async () => {
  crypto = await loadCrypto();
});
after(async () => {
  for (const cleanup of cleanups) await cleanup();
});

async function gatewayWith(options: Partial<FakeGatewayOptions> = {}): Promise<FakeGateway> {
  const gateway = await startFakeGateway({ crypto, ...options });
  cleanups.push(() => gateway.close());
  return gateway;
}

function linkTo(gateway: FakeGateway, options: Partial<GatewayLinkOptions> = {}) {
  const metrics = new Metrics('test_');
  const link = createGatewayLink({
    address: gateway.address,
    identity: crypto.ed25519KeyPair(),
    crypto,
    clock: systemClock,
    log: silentLog,
    metrics: metrics.add(linkMetrics),
    random: () => 0,
    ...options,
  });
  cleanups.push(() => link.close());
  const up = new Promise<void>((resolve) => link.onAvailable(resolve));
  return { link, up, metrics };
}

/** Link and gateway that have found each other; what the gateway saw until then is forgotten. */
async function pair(options: Partial<FakeGatewayOptions> = {}) {
  const gateway = await gatewayWith(options);
  const { link, up, metrics } = linkTo(gateway);
  await up;
  gateway.seen.length = 0;
  return { gateway, link, metrics };
}

const begin = ({ response }: SeenRequest): void =>
  void response.writeHead(200, { 'content-type': CONTENT_TYPE });

/** Handles the first request in its own way, all others by granting. */
function once(first: (request: SeenRequest) => void): (request: SeenRequest) => void {
  let done = false;
  return (request) => {
    const act = done ? grant : first;
    done = true;
    act(request);
  };
}

const waitFor = async (done: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await done())) await wait(5);
};

describe('link to a gateway', () => {
  test('a self-signed gateway is found by its statement; a hello comes before any push', async () => {
    const gateway = await gatewayWith();
    const { link, up } = linkTo(gateway);
    const state = () => [link.available, link.facts] as const;
    assert.deepEqual(state(), [false, undefined]);
    await up;
    const [available, facts] = state();
    assert.equal(available, true);
    assert.deepEqual(facts?.identityKey, gateway.identity.publicKey);
    assert.deepEqual([...(facts?.apps ?? [])], [['chat.example', ['test']]]);
    assert.equal(facts?.sealing.publicKey.length, 32);
    assert.deepEqual(
      gateway.seen.map(({ path, frames }) => [path, frames.length]),
      [[PATHS.push, 0]],
    );
  });

  test('a certificate of a trusted authority needs no word in the statement', async () => {
    const gateway = await gatewayWith({ namesTlsKey: false });
    const folder = mkdtempSync(join(tmpdir(), 'porchlight-'));
    const caFile = join(folder, 'ca.pem');
    writeFileSync(caFile, gateway.authority);
    const { link, up } = linkTo(gateway, { tls: { caFile } });
    rmSync(folder, { recursive: true });
    await up;
    assert.deepEqual(await link.push(makeFrame()), ACCEPTED);
  });

  test('capabilities are exchanged, proved, renewed and revoked', async () => {
    const { gateway, link } = await pair();
    const { capability, deviceTag } = await link.exchange(new Uint8Array(229).fill(1));
    assert.deepEqual([capability.length, deviceTag.length], [256, 16]);
    assert.equal((await link.prove(capability, new Uint8Array(32).fill(3))).length, 256);
    assert.equal((await link.renew(capability)).length, 256);
    await link.revoke(capability);
    assert.deepEqual(
      gateway.seen.map(({ path, body }) => [path, body.length]),
      [
        [PATHS.capabilities, 229],
        [PATHS.prove, 288],
        [PATHS.renew, 256],
        [PATHS.revoke, 256],
      ],
    );
  });

  test('a refusal is its code and nothing else', async () => {
    const { gateway, link } = await pair();
    const capability = new Uint8Array(256);
    for (const [code, headers, retryAfter] of [
      ['bad-code', {}, undefined],
      ['rate', { 'retry-after': '300' }, 300],
      ['unavailable', {}, undefined],
    ] as const) {
      gateway.handle = ({ response }) => refuse(response, code, headers);
      await assert.rejects(
        link.prove(capability, new Uint8Array(32)),
        (error) => error instanceof GatewayRefusal && error.code === code && error.retryAfter === retryAfter,
      );
    }
  });

  test('a call that gets no answer is made again, under a fresh nonce', async () => {
    const { gateway, link } = await pair();
    gateway.handle = once(({ response }) => response.destroy());
    assert.equal((await link.renew(new Uint8Array(256))).length, 256);
    assert.equal(gateway.seen.length, 2);
    assert.notEqual(gateway.seen[0]!.nonce, gateway.seen[1]!.nonce);
  });

  test('answers that arrive byte by byte resolve each frame as soon as its record is whole', async () => {
    const { gateway, link } = await pair();
    const capability = new Uint8Array(256).fill(5);
    let proceed = (): void => {};
    const half = new Promise<void>((resolve) => {
      proceed = resolve;
    });
    gateway.handle = async (request) => {
      begin(request);
      const write = async (bytes: Uint8Array): Promise<void> => {
        for (const byte of bytes) {
          request.response.write(Uint8Array.of(byte));
          await new Promise((resolve) => setImmediate(resolve));
        }
      };
      await write(encodeAnswer(1, { ...ACCEPTED, capability }));
      await half;
      await write(encodeAnswer(0, { kind: 'later', reason: 'device', after: 300 }));
      request.response.end();
    };
    const [first, second] = [link.push(makeFrame()), link.push(makeFrame())];
    assert.deepEqual(await second, { ...ACCEPTED, capability });
    proceed();
    assert.deepEqual(await first, { kind: 'later', reason: 'device', after: 300 });
  });

  test('an answer cut inside a record: only the open frames come again, the same bytes under the same id', async () => {
    const { gateway, link } = await pair();
    gateway.handle = once((request) => {
      begin(request);
      request.response.write(encodeAnswer(2, ACCEPTED));
      request.response.write(encodeAnswer(0, ACCEPTED).subarray(0, 100));
      setTimeout(() => request.response.destroy(), 20);
    });
    const frames = [makeFrame(), makeFrame(), makeFrame()];
    const outcomes = await Promise.all(frames.map((frame) => link.push(frame)));
    assert.deepEqual(outcomes, [ACCEPTED, ACCEPTED, ACCEPTED]);
    const [before, again] = gateway.seen;
    assert.deepEqual(again!.frames, [before!.frames[0], before!.frames[1]]);
    assert.notEqual(before!.nonce, again!.nonce);
  });

  test('rubbish instead of records is no answer', async () => {
    const { gateway, link } = await pair();
    gateway.handle = once((request) => {
      begin(request);
      request.response.end(new Uint8Array(272).fill(255));
    });
    assert.deepEqual(await link.push(makeFrame()), ACCEPTED);
    assert.equal(gateway.seen.length, 2);
  });

  test('a wrong clock costs one round trip, once', async () => {
    const ahead = 7200;
    const judge = (request: SeenRequest): void => {
      const there = Math.floor(Date.now() / 1000) + ahead;
      const date = new Date(there * 1000).toUTCString();
      if (Math.abs(request.created - there) > 60) refuse(request.response, 'clock', { date });
      else grant(request);
    };
    const { gateway, link } = await pair({ handle: judge });
    assert.deepEqual(await link.push(makeFrame()), ACCEPTED);
    assert.equal((await link.renew(new Uint8Array(256))).length, 256);
    assert.equal(gateway.seen.length, 2);
  });

  test('a replay is answered with a fresh nonce', async () => {
    const { gateway, link } = await pair();
    gateway.handle = once(({ response }) => refuse(response, 'replay'));
    assert.deepEqual(await link.push(makeFrame()), ACCEPTED);
    assert.notEqual(gateway.seen[0]!.nonce, gateway.seen[1]!.nonce);
  });

  test('a whole-request 429 is later, with its time', async () => {
    const { gateway, link } = await pair();
    gateway.handle = ({ response }) => refuse(response, 'rate', { 'retry-after': '1200' });
    assert.deepEqual(await link.push(makeFrame()), { kind: 'later', reason: 'load', after: 1200 });
    assert.equal(link.available, true);
  });

  test('a gateway that does not serve this subscriber: unavailable, and the log says why', async () => {
    const lines: string[] = [];
    const sink = { write: (line: string) => void lines.push(line) };
    const gateway = await gatewayWith({ handle: ({ response }) => refuse(response, 'not-listed') });
    const { link } = linkTo(gateway, {
      log: createLog({ service: 'test', level: 'info', json: true, sink }),
    });
    await waitFor(() => lines.some((line) => line.includes('"code":"not-listed"')));
    assert.equal(link.available, false);
    await link.close();
  });

  test('a 503 makes the link unavailable until a probe passes', async () => {
    const { gateway, link } = await pair();
    let calls = 0;
    link.onAvailable(() => calls++);
    gateway.handle = ({ response }) => refuse(response, 'unavailable');
    assert.equal((await link.push(makeFrame())).kind, 'unavailable');
    assert.equal(link.available, false);
    gateway.handle = grant;
    assert.equal((await link.push(makeFrame())).kind, 'unavailable');
    await waitFor(() => link.available);
    assert.equal(calls, 1);
    assert.deepEqual(await link.push(makeFrame()), ACCEPTED);
  });

  test('a gateway that restarts with another TLS key in the middle of traffic: every frame gets through', async () => {
    const { gateway, link } = await pair();
    const told = new Set<string>();
    const slowly = (request: SeenRequest): void =>
      void setTimeout(() => {
        if (request.response.destroyed) return;
        for (const { id } of request.frames) told.add(toHex(id));
        grant(request);
      }, 10);
    gateway.handle = slowly;
    const frames = Array.from({ length: 300 }, () => makeFrame());
    const deliver = async (frame: (typeof frames)[number]): Promise<Outcome> => {
      for (;;) {
        const outcome = await link.push(frame);
        if (outcome.kind !== 'unavailable') return outcome;
        await waitFor(() => link.available);
      }
    };
    const outcomes: Promise<Outcome>[] = [];
    let second: Promise<FakeGateway> | undefined;
    for (const [i, frame] of frames.entries()) {
      outcomes.push(deliver(frame));
      if (i % 10 === 0) await wait(1);
      if (i !== 150) continue;
      await gateway.close();
      const { port } = gateway.address;
      second = wait(300).then(() => gatewayWith({ port, identity: gateway.identity, handle: slowly }));
    }
    await second;
    for (const outcome of await Promise.all(outcomes)) assert.deepEqual(outcome, ACCEPTED);
    assert.equal(told.size, frames.length);
  });

  test('somebody else at the same address sees no request', async () => {
    const { gateway, link } = await pair();
    await gateway.close();
    const stranger = await gatewayWith({ port: gateway.address.port });
    assert.equal((await link.push(makeFrame())).kind, 'unavailable');
    assert.ok(stranger.statements > 0);
    assert.deepEqual(stranger.seen, []);
  });

  test('a malformed batch is not sent: the frame is refused', async () => {
    const { link } = await pair();
    const outcome = await link.push(makeFrame({ payload: new Uint8Array(1) }));
    assert.deepEqual(outcome, { kind: 'refused', reason: 'malformed', after: 0 });
  });

  test('after close nothing is pending and pushes are unavailable', async () => {
    const { gateway, link } = await pair();
    gateway.handle = () => {};
    const open = link.push(makeFrame());
    await waitFor(() => gateway.seen.length === 1);
    await link.close();
    assert.equal((await open).kind, 'unavailable');
    assert.equal((await link.push(makeFrame())).kind, 'unavailable');
  });
});

describe('a statement that is not accepted', () => {
  const refusedAs = async (
    gateway: FakeGateway,
    reason: string,
    changes: Partial<GatewayLinkOptions> = {},
  ) => {
    const { link, metrics } = linkTo(gateway, changes);
    const line = `test_link_statements_total{result="${reason}"} `;
    await waitFor(async () => (await metrics.text()).includes(line));
    assert.equal(link.facts, undefined);
    assert.equal(link.available, false);
    assert.deepEqual(gateway.seen, []);
    await link.close();
  };

  test('by another key than the address names', async () => {
    const gateway = await gatewayWith();
    const other = await gatewayWith();
    const address = { ...gateway.address, fingerprint: other.address.fingerprint };
    await refusedAs(gateway, 'wrong-fingerprint', { address });
  });

  test('naming another TLS key than the connection showed', async () => {
    await refusedAs(await gatewayWith({ statement: { tlsSpki: new Uint8Array(32) } }), 'wrong-tls-key');
  });

  test('not naming the TLS key of a certificate that no authority vouches for', async () => {
    await refusedAs(await gatewayWith({ namesTlsKey: false }), 'wrong-tls-key');
  });

  test('expired', async () => {
    await refusedAs(await gatewayWith({ statement: { validUntil: 1_700_000_000 } }), 'expired');
  });

  test('older than one that was seen', async () => {
    const { gateway, link, metrics } = await pair();
    await gateway.close();
    const { port } = gateway.address;
    const statement = { issuedAt: Math.floor(Date.now() / 1000) - 5000 };
    const old = await gatewayWith({ port, identity: gateway.identity, statement });
    assert.equal((await link.push(makeFrame())).kind, 'unavailable');
    await waitFor(async () =>
      (await metrics.text()).includes('test_link_statements_total{result="older-than-seen"} '),
    );
    assert.equal(link.available, false);
    assert.deepEqual(old.seen, []);
  });

  test('a sealing key that is no longer in use makes the link ask for the statement again', async () => {
    const { gateway, link } = await pair();
    const before = gateway.statements;
    gateway.handle = ({ response }) => refuse(response, 'unknown-sealing-key');
    await assert.rejects(link.exchange(new Uint8Array(229)), { code: 'unknown-sealing-key' });
    await waitFor(() => gateway.statements === before + 1);
  });
});
