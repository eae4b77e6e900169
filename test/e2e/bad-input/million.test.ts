/**
 * One hostile party with very many identities (design §6): it makes up tokens, capabilities and signatures, sends
 * requests again, stalls, writes a victim's token in every spelling. An honest subscriber's pushes go through
 * meanwhile, nothing is remembered of the identities, and the victim's phone gets the silent pushes that the contract
 * allows and no more.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Agent } from 'node:https';
import { after, before, describe, test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { toHex } from '../../../shared/encoding/bytes.js';
import { encodeBatch } from '../../../shared/relay/batch.js';
import { CONTENT_TYPE, MAX_BODY_SIZE, PATHS } from '../../../shared/relay/constants.js';
import { parseProblem } from '../../../shared/relay/problem.js';
import { makeFrame } from '../../support/frames.js';
import { type HttpAnswer, RelayClient } from '../../support/relay-client.js';
import {
  type RelayParty,
  type RelayWorld,
  startRelayWorld,
  type TestApp,
} from '../../support/relay-party.js';
import { eventually } from '../../support/world/eventually.js';

const IDENTITIES = 1_000;
const BLOCKS = 50;
const STALLED = 40;
const HOUR = 3_600_000;
const HONEST = '198.51.100.7';

/** The hostile party's addresses: it has many, but not as many as identities. */
const addressOf = (n: number): string => `203.0.113.${n % BLOCKS}`;

describe('one hostile party with a great many identities', () => {
  let world: RelayWorld;
  let app: TestApp;
  let honest: RelayParty;
  let capability: Uint8Array;
  let hostile: RelayParty;
  let agent: Agent;

  before(async () => {
    world = await startRelayWorld(1, { trusted_proxies: ['127.0.0.1'] });
    app = world.apps[0]!;
    honest = await world.party(HONEST);
    capability = await honest.prove(app);
    hostile = await world.party(addressOf(0));
    agent = new Agent({ keepAlive: true, ca: world.test.certificate, servername: 'localhost' });
  });
  after(() => {
    agent.destroy();
    return world.close();
  });

  /** A new identity; it costs its maker a key, and no connection of its own. */
  function identity(n: number): RelayClient {
    return new RelayClient({
      crypto: world.crypto,
      clock: world.clock,
      port: () => world.test.gateway.port,
      certificate: world.test.certificate,
      fingerprint: world.test.gateway.fingerprint,
      forwardedFor: addressOf(n),
      agent,
    });
  }

  /** Runs `attack` with an identity of its own for each of `count`, a few at once; a push of the honest now and then. */
  async function flood(
    count: number,
    attack: (client: RelayClient, n: number) => Promise<HttpAnswer | undefined>,
  ): Promise<Map<string, number>> {
    const seen = new Map<string, number>();
    const run = async (first: number): Promise<void> => {
      for (let n = first; n < count; n += 10) {
        const client = identity(n);
        const answer = await attack(client, n).catch(() => undefined);
        const word = answer === undefined ? 'closed' : String(answer.status);
        seen.set(word, (seen.get(word) ?? 0) + 1);
      }
    };
    const flooding = Promise.all(Array.from({ length: 10 }, (_, first) => run(first)));
    await Promise.all([flooding, honestWork()]);
    return seen;
  }

  async function honestWork(): Promise<void> {
    for (let n = 0; n < 10; n++) {
      assert.equal((await honest.wake(capability)).kind, 'accepted');
      await new Promise((resolve) => setImmediate(resolve));
    }
    world.clock.leap(15_000);
  }

  /** Made-up tokens that Apple has seen. */
  const madeUp = (): number => world.apns.counters().answers['400 BadDeviceToken'] ?? 0;

  const sealed = (client: RelayClient, token: Uint8Array): Uint8Array =>
    client.seal(hostile.sealing, app.topic, token, 'test');

  test('made-up tokens by a thousand identities: none is remembered, few reach Apple', async () => {
    const [before, since] = [madeUp(), world.clock.monotonic()];
    const seen = await flood(IDENTITIES, async (client) => {
      const token = Buffer.from(toHex(randomBytes(32)));
      const exchanged = await client.post(PATHS.capabilities, sealed(client, token));
      if (exchanged.status !== 200) return exchanged;
      const frame = hostile.verification(exchanged.body.subarray(0, 256));
      return client.post(PATHS.push, encodeBatch([frame]));
    });
    assert.ok((seen.get('200') ?? 0) > 0);
    assert.equal(await world.metric('subscribers'), 1);
    assert.ok((await world.metric('first_contact_sources')) <= BLOCKS + 1);
    assert.ok((await world.metric('address_blocks')) <= 3 * (BLOCKS + 2));
    const reached = madeUp() - before;
    const seconds = (world.clock.monotonic() - since) / 1000;
    // Newcomers have half of 20 a second, and ten seconds of that at once.
    assert.ok(reached > 0 && reached <= 10 * (10 + seconds), `${reached} made-up tokens reached Apple`);
    assert.equal(await world.metric('refusal_breakers_open'), 0);
    assert.equal(await world.observe('/readyz'), 'ready\n');
  });

  test('garbage for signatures, and the honest subscriber’s own name on them', async () => {
    const body = encodeBatch([]);
    const seen = await flood(400, (client, n) => {
      const headers = client.sign(PATHS.push, body);
      const stolen = honest.client.sign(PATHS.push, body)['signature-input']!;
      const input = n % 2 === 0 ? headers['signature-input']! : stolen;
      const signature = `relay=:${Buffer.from(randomBytes(64)).toString('base64')}:`;
      return client.send('POST', PATHS.push, { ...headers, 'signature-input': input, signature }, body);
    });
    assert.deepEqual(
      [...seen.keys()].filter((word) => word !== '401' && word !== '429'),
      [],
    );
  });

  test('its own requests sent again, and those that it saw of others', async () => {
    world.clock.leap(60_000);
    const body = encodeBatch([makeFrame({ capability })]);
    const seen = await flood(100, async (client) => {
      const headers = client.sign(PATHS.push, encodeBatch([]));
      await client.send('POST', PATHS.push, headers, encodeBatch([]));
      return client.send('POST', PATHS.push, headers, encodeBatch([]));
    });
    assert.deepEqual(
      [...seen.keys()].filter((word) => word !== '409' && word !== '429'),
      [],
    );
    const headers = honest.client.sign(PATHS.push, body);
    assert.equal((await honest.client.send('POST', PATHS.push, headers, body)).status, 200);
    const replays = await flood(50, (client) => client.send('POST', PATHS.push, headers, body));
    assert.equal(replays.get('200'), undefined);
    const host = honest.client.authority;
    await world.test.restart();
    const late = await identity(0).send('POST', PATHS.push, { ...headers, host }, body);
    assert.equal(
      `${late.status} ${parseProblem(late.body.toString())}`,
      '401 clock',
      'nor by one that forgot it',
    );
  });

  test('stalled and oversized bodies', async () => {
    const sockets = await Promise.all(Array.from({ length: STALLED }, (_, n) => stall(n)));
    await eventually('bodies under way', async () => (await world.metric('body_bytes')) > 0);
    await honestWork();
    const newcomer = await world.party('192.0.2.77');
    assert.equal((await newcomer.client.post(PATHS.push, encodeBatch([]))).status, 200);
    for (const socket of sockets) socket.destroy();
    await flood(10, (client) => client.post(PATHS.push, new Uint8Array(MAX_BODY_SIZE + 1)));
    await eventually('nothing held', async () => (await world.metric('body_bytes')) === 0);
  });

  test("a victim's token in every spelling: a push in 20 minutes and six a day, all of them silent", async () => {
    const victim = honest.phone(app);
    const bytes = Buffer.from(victim);
    const spellings = [
      bytes,
      Buffer.from(victim.toUpperCase()),
      Buffer.from(`../device/${victim}`),
      Buffer.from(`${victim}/`),
      Buffer.from(`${victim}%20`),
      Buffer.from(`${victim}\0`),
      Buffer.from(` ${victim}`),
      Buffer.from(victim.slice(0, -1)),
      bytes,
    ];
    const began = world.apns.deliveries.lastSeq;
    const start = world.clock.now();
    for (let round = 0; round < 3 * 24; round++) {
      for (const [n, spelling] of spellings.entries()) {
        const client = identity(round * 10 + n);
        const answer = await client.post(PATHS.capabilities, sealed(client, spelling));
        if (answer.status === 200) {
          const stolen = answer.body.subarray(0, 256);
          const frames = [hostile.verification(stolen), makeFrame({ capability: stolen })];
          await client.push(...frames).catch(() => undefined);
        }
      }
      world.clock.leap(HOUR / 3);
    }
    const got = world.apns.deliveries
      .read({ environment: 'test', after: began })
      .filter(({ token }) => token.toLowerCase() === victim.toLowerCase());
    assert.ok(
      got.length >= 3 && got.length <= 6,
      `${got.length} pushes in ${(world.clock.now() - start) / HOUR} h`,
    );
    for (const { payload } of got) {
      const { aps } = JSON.parse(payload) as { aps: Record<string, unknown> };
      assert.deepEqual(aps, { 'content-available': 1 });
    }
    assert.equal((await honest.wake(capability)).kind, 'accepted');
  });

  /** Announces a large body and never sends it whole. */
  async function stall(n: number): Promise<TLSSocket> {
    const client = identity(n);
    const body = new Uint8Array(MAX_BODY_SIZE);
    const { port } = world.test.gateway;
    const lines = {
      ...client.sign(PATHS.push, body),
      host: client.authority,
      'content-type': CONTENT_TYPE,
      'content-length': String(body.length),
      'x-forwarded-for': addressOf(n),
    };
    const socket = connect({ host: '127.0.0.1', port, ca: world.test.certificate, servername: 'localhost' });
    socket.on('error', () => {});
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    const head = Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`POST ${PATHS.push} HTTP/1.1\r\n${head.join('')}\r\nbegun`);
    return socket;
  }
});
