/**
 * What an unmodified agent does and expects (guide H.4, H.5, H.7, I), against the real NTF server, registry and wake
 * engine over TLS. The gateway and the messaging servers are played by the test.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { GatewayRefusal } from '../../services/subscriber/outbound/gateway-link.js';
import { createWakeEngine } from '../../services/subscriber/wake/engine.js';
import { wakeMetrics } from '../../services/subscriber/wake/metrics.js';
import { cbDecrypt, pad } from '../../shared/crypto/box.js';
import type { Crypto } from '../../shared/crypto/crypto.js';
import { loadCrypto } from '../../shared/crypto/load.js';
import { sameBytes } from '../../shared/encoding/bytes.js';
import type { NtfCommand } from '../../shared/ntf/commands.js';
import { decodeItems, type PayloadItem } from '../../shared/ntf/payload.js';
import type { NtfResponse } from '../../shared/ntf/responses.js';
import type { Frame, Outcome } from '../../shared/relay/batch.js';
import { seconds, VirtualClock } from '../../shared/run/clock.js';
import { silentLog } from '../../shared/run/log.js';
import { formatServer, type SmpQueue } from '../../shared/smp/address.js';
import { ACCEPTED, FakeLink, type SentFrame } from '../support/fake-link.js';
import { countedMetrics } from '../support/metrics.js';
import { type NtfTestClient, replyText } from '../support/ntf-client.js';
import {
  startTestNtfServerOn,
  type TestNtfServer,
  type TestPhoneOptions,
  testPhone,
} from '../support/ntf-server.js';
import { type SmpRegistry, smpRegistry } from '../support/smp-registry.js';

const NONE = new Uint8Array(0);
const DEAD: Outcome = { kind: 'dead', reason: 'unregistered', after: 0 };

/** A link that draws codes as a gateway does: one for each exchanged token, whatever capability follows from it. */
class CodingLink extends FakeLink {
  private readonly codes = new Map<number, Uint8Array>();

  constructor() {
    super();
    this.judge = (name, code) => {
      if (!sameBytes(code, this.codeOf(name))) return new GatewayRefusal('bad-code');
      this.codes.set(this.nextCapability, this.codeOf(name));
      return 'good';
    };
  }

  codeOf(name: number): Uint8Array {
    const code = this.codes.get(name) ?? new Uint8Array(randomBytes(32));
    this.codes.set(name, code);
    return code;
  }
}

/** One phone with its own connection. */
class Agent {
  readonly client: NtfTestClient;
  readonly phone: ReturnType<typeof testPhone>;
  private readonly crypto: Crypto;
  tokenId: Uint8Array = NONE;
  dhSecret: Uint8Array = NONE;

  constructor(client: NtfTestClient, crypto: Crypto, options: TestPhoneOptions = {}) {
    this.client = client;
    this.crypto = crypto;
    this.phone = testPhone(crypto, options);
  }

  async register(): Promise<NtfResponse & { word: 'IDTKN' }> {
    const { response } = await this.client.send(this.phone.tnew, { key: this.phone.key });
    assert.ok(response.word === 'IDTKN');
    this.tokenId = response.tokenId.slice();
    this.dhSecret = this.crypto.x25519(this.phone.dhPrivateKey, response.dhKey);
    return response;
  }

  /** The reply's text; about the token unless another entity is given. */
  text(command: NtfCommand, entityId = this.tokenId, client = this.client): Promise<string> {
    return client.text(command, { key: this.phone.key, entityId });
  }

  verify = (code: Uint8Array): Promise<string> => this.text({ word: 'TVFY', code });
  check = (client?: NtfTestClient): Promise<string> => this.text({ word: 'TCHK' }, this.tokenId, client);

  subscribe(queue: SmpQueue, raw: Uint8Array): Promise<{ text: string; id: Uint8Array }> {
    const notifierKey = { algorithm: 'ed25519', raw } as const;
    const command = { word: 'SNEW', tokenId: this.tokenId, queue, notifierKey } as const;
    return this.client.send(command, { key: this.phone.key }).then(({ response }) => ({
      text: replyText(response),
      id: response.word === 'IDSUB' ? response.subscriptionId.slice() : NONE,
    }));
  }

  /** The code in a verification push, as the gateway boxes it and the phone opens it. */
  codeIn({ frame }: SentFrame, link: CodingLink): Uint8Array {
    assert.equal(frame.kind, 'verification');
    const padded = pad(link.codeOf(frame.capability[0]!), 2912);
    const box = this.crypto.salsa20Poly1305Seal(
      frame.payload.subarray(0, 32),
      frame.nonce.subarray(16),
      padded,
    );
    return cbDecrypt(this.crypto, this.dhSecret, frame.nonce, box)!;
  }

  itemsIn({ kind, nonce, payload }: Frame): PayloadItem[] {
    assert.equal(kind, 'message');
    assert.equal(payload.length, 2912 + 16);
    return decodeItems(cbDecrypt(this.crypto, this.dhSecret, nonce, payload)!);
  }
}

describe('a stock agent', () => {
  const clock = new VirtualClock();
  const link = new CodingLink();
  let crypto: Crypto;
  let registry: SmpRegistry;
  let server: TestNtfServer<SmpRegistry>;

  before(async () => {
    crypto = await loadCrypto();
    const made = smpRegistry(crypto, clock);
    registry = made.registry;
    const engine = createWakeEngine({
      crypto,
      clock,
      log: silentLog,
      metrics: countedMetrics(wakeMetrics).handles,
      listeners: [
        {
          name: 'simplex',
          link,
          profile: 'simplex',
          mode: 'mutable',
          class: 'message',
          coalesceMs: 0,
          delayMs: 0,
        },
      ],
      devices: registry,
      queues: registry,
      random: () => 0.5,
      limits: { devices: 100, mailboxEntries: 1_000 },
    });
    registry.connect(made.source, engine);
    server = await startTestNtfServerOn(registry, { crypto, clock, engine });
  });
  after(() => server.listener.close());

  async function agent(options?: TestPhoneOptions): Promise<Agent> {
    link.sent.length = 0;
    link.rule = undefined;
    return new Agent(await server.connect(), crypto, options);
  }

  /** The last push, answered with this outcome. */
  async function answered(outcome: Outcome): Promise<void> {
    link.sent.at(-1)!.answer(outcome);
    await clock.advance(0);
  }

  async function active(options?: TestPhoneOptions): Promise<Agent> {
    const a = await agent(options);
    await a.register();
    await answered(ACCEPTED);
    assert.equal(await a.verify(a.codeIn(link.sent[0]!, link)), 'OK');
    return a;
  }

  const queue = (n = randomBytes(1)[0]!, hosts = ['smp.example'], port = ''): SmpQueue => ({
    server: { hosts, port, keyHash: new Uint8Array(32).fill(7) },
    notifierId: new Uint8Array(24).fill(n).fill(n + 1, 20),
  });
  const key = (): Uint8Array => new Uint8Array(randomBytes(32));
  const refOf = (id: Uint8Array): number => registry.subscriptionById(id)!.ref;
  const signal = (id: Uint8Array): void =>
    registry.signal(refOf(id), new Uint8Array(randomBytes(24)), new Uint8Array(144).fill(1));

  async function followed(a: Agent, ...args: Parameters<typeof queue>): Promise<Uint8Array> {
    const { id } = await a.subscribe(queue(...args), key());
    registry.status(refOf(id), { kind: 'active' });
    return id;
  }

  it('verifies while the result of its verification push is still to come', async () => {
    const a = await agent();
    await a.register();
    assert.equal(await a.check(), 'TKN REGISTERED');
    const [push] = link.sent as [SentFrame];
    assert.equal(await a.verify(a.codeIn(push, link)), 'OK');
    assert.equal(await a.check(), 'TKN ACTIVE');
    await answered(ACCEPTED);
    assert.equal(await a.check(), 'TKN ACTIVE');
    assert.equal(await a.text({ word: 'TCRN', minutes: 20 }), 'OK');
    a.client.close();
  });

  it('registers again at each start: same id, same key, a push with the same code, which may come back again', async () => {
    const a = await active();
    const [first] = link.sent as [SentFrame];
    const [tokenId, dhSecret, asked] = [a.tokenId, a.dhSecret, link.proofsAsked];
    await a.register();
    assert.deepEqual([a.tokenId, a.dhSecret], [tokenId, dhSecret]);
    assert.equal(await a.check(), 'TKN ACTIVE');
    const second = link.sent[1]!;
    assert.notDeepEqual(second.frame.nonce, first.frame.nonce);
    assert.deepEqual(a.codeIn(second, link), a.codeIn(first, link));
    assert.equal(await a.verify(a.codeIn(second, link)), 'OK');
    assert.equal(link.proofsAsked, asked, 'a proven code is known');
    await answered(ACCEPTED);
    a.client.close();
  });

  it('TRPL: subscriptions are kept but out of reach until the new code came; the old one is wrong', async () => {
    const a = await active();
    const old = a.codeIn(link.sent[0]!, link);
    const id = await followed(a, 1);
    for (const { token } of [testPhone(crypto).tnew, a.phone.tnew, a.phone.tnew]) {
      assert.equal(await a.text({ word: 'TRPL', token }), 'OK');
      assert.equal(await a.check(), 'TKN REGISTERED');
      for (const word of ['SCHK', 'SDEL'] as const) assert.equal(await a.text({ word }, id), 'ERR AUTH');
      assert.equal((await a.subscribe(queue(2), key())).text, 'ERR AUTH');
      assert.equal(await a.verify(old), 'ERR AUTH');
      signal(id);
      const push = link.sent.at(-1)!;
      await answered(ACCEPTED);
      assert.equal(await a.check(), 'TKN CONFIRMED');
      assert.equal(await a.verify(a.codeIn(push, link)), 'OK');
      assert.equal(await a.text({ word: 'SCHK' }, id), 'SUB ACTIVE');
      assert.equal(a.itemsIn(link.sent.at(-1)!.frame).length, 1, 'what came meanwhile is told');
      await answered(ACCEPTED);
    }
    a.client.close();
  });

  it('INVALID: tells why to new clients, keeps subscriptions in reach, and comes back by TNEW', async () => {
    const a = await active();
    const id = await followed(a, 3);
    signal(id);
    await answered(DEAD);
    assert.equal(await a.check(), 'TKN INVALID,UNREGISTERED');
    for (const version of [1, 2]) {
      const older = await server.connect(version === 1 ? { alpn: [] } : { version });
      assert.equal(await a.check(older), 'TKN INVALID');
      older.close();
    }
    assert.equal(await a.text({ word: 'SCHK' }, id), 'SUB ACTIVE');
    assert.equal((await a.subscribe(queue(4), key())).text, 'IDSUB');
    assert.equal(await a.verify(a.codeIn(link.sent[0]!, link)), 'ERR AUTH');
    assert.equal(await a.text({ word: 'TCRN', minutes: 20 }), 'OK');
    const tokenId = a.tokenId;
    await a.register();
    assert.deepEqual(a.tokenId, tokenId);
    assert.equal(await a.check(), 'TKN REGISTERED');
    const push = link.sent.at(-1)!;
    await answered(ACCEPTED);
    assert.equal(await a.verify(a.codeIn(push, link)), 'OK');
    assert.equal(a.itemsIn(link.sent.at(-1)!.frame).length, 1);
    await answered(ACCEPTED);
    a.client.close();
  });

  it('the same token under another key is a registration of its own; its proof ends the first, also an ACTIVE one', async () => {
    const token = randomBytes(32).toString('hex');
    const first = await active({ token });
    const [address, notifierKey] = [queue(5), key()];
    const { id } = await first.subscribe(address, notifierKey);
    registry.status(refOf(id), { kind: 'active' });
    const second = await agent({ token: token.toUpperCase() });
    await second.register();
    assert.notDeepEqual(second.tokenId, first.tokenId);
    await answered(ACCEPTED);
    assert.equal(await second.verify(new Uint8Array(32)), 'ERR AUTH');
    assert.equal(await first.check(), 'TKN ACTIVE', 'both live until a proof');
    assert.equal(await second.verify(second.codeIn(link.sent[0]!, link)), 'OK');
    assert.equal(await first.check(), 'ERR AUTH');
    assert.equal(await first.text({ word: 'SCHK' }, id), 'ERR AUTH');
    assert.equal((await second.subscribe(address, notifierKey)).text, 'IDSUB');
    for (const { client } of [first, second]) client.close();
  });

  it('SNEW of a queue whose subscription ended gives the same id and changes nothing; SDEL forgets it', async () => {
    const a = await active();
    const [address, notifierKey] = [queue(6), key()];
    const { id } = await a.subscribe(address, notifierKey);
    assert.equal(await a.text({ word: 'SCHK' }, id), 'SUB PENDING');
    for (const kind of ['active', 'inactive', 'end', 'deleted', 'auth'] as const) {
      registry.status(refOf(id), { kind });
      assert.deepEqual((await a.subscribe(address, notifierKey)).id, id);
      assert.equal(await a.text({ word: 'SCHK' }, id), `SUB ${kind.toUpperCase()}`);
    }
    assert.equal((await a.subscribe(address, key())).text, 'ERR AUTH', 'another notifier key');
    assert.equal(await a.text({ word: 'SDEL' }, id), 'OK');
    for (const word of ['SCHK', 'SDEL'] as const) assert.equal(await a.text({ word }, id), 'ERR AUTH');
    assert.notDeepEqual((await a.subscribe(address, notifierKey)).id, id);
    assert.equal(await a.text({ word: 'TDEL' }), 'OK');
    for (const word of ['TCHK', 'TDEL'] as const) assert.equal(await a.text({ word }), 'ERR AUTH');
    a.client.close();
  });

  it('tests a server with provider AN, at each version', async () => {
    for (const version of [1, 2, 3]) {
      const a = new Agent(await server.connect({ version }), crypto, {
        provider: 'AN',
        token: 'test_ntf_token',
      });
      link.sent.length = 0;
      await a.register();
      assert.equal(await a.check(), 'TKN CONFIRMED');
      assert.equal(await a.verify(new Uint8Array(32)), 'ERR AUTH');
      assert.equal(await a.text({ word: 'TDEL' }), 'OK');
      assert.equal(await a.check(), 'ERR AUTH');
      assert.equal(link.sent.length, 0);
      a.client.close();
    }
  });

  it('is pushed the latest six queues, ascending, the new one last, spelled as in SNEW', async () => {
    const a = await active();
    link.rule = () => ACCEPTED;
    link.sent.length = 0;
    const spellings = [
      { hosts: ['b.example', 'a.example'], port: '' },
      { hosts: ['a.example'], port: '5223' },
      { hosts: ['aaaa.onion', '1.2.3.4'], port: '443' },
    ];
    const ids: Uint8Array[] = [];
    const at = (n: number) => spellings[n % spellings.length]!;
    for (let n = 0; n < 9; n++) ids.push(await followed(a, 100 + n, at(n).hosts, at(n).port));
    for (const [n, id] of ids.entries()) {
      await clock.advance(1_500);
      signal(id);
      await clock.advance(0);
      assert.equal(link.sent.length, n + 1);
      const items = a.itemsIn(link.sent[n]!.frame);
      const expected = ids.map((_, i) => 100 + i).slice(Math.max(0, n - 5), n + 1);
      assert.deepEqual(
        items.map((item) => item.queue.notifierId[0]),
        expected,
      );
      for (const { queue: told } of items) {
        const { hosts, port } = at(told.notifierId[0]! - 100);
        const keyHash = new Uint8Array(32).fill(7);
        assert.equal(formatServer(told.server), formatServer({ hosts, port, keyHash }));
      }
      assert.equal(items.at(-1)!.time, seconds(clock));
    }
    const nonces = new Set(link.sent.map(({ frame }) => Buffer.from(frame.nonce).toString('hex')));
    assert.equal(nonces.size, 9);
    a.client.close();
  });
});
