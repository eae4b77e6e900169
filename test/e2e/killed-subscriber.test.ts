/**
 * A subscriber that was killed has forgotten everybody. Phones find out at their next check and register again by
 * themselves, the SDK's as well as stock ones (guide I.2, I.4).
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { toHex, utf8 } from '../../shared/encoding/bytes.js';
import type { NtfCommand } from '../../shared/ntf/commands.js';
import type { NtfResponse } from '../../shared/ntf/responses.js';
import { naclCrypto } from '../../shared/sdk/nacl.js';
import { openPush } from '../../shared/sdk/open.js';
import { NtfConnectionError } from '../../shared/sdk/transport.js';
import { type NtfTestClient, replyText } from '../support/ntf-client.js';
import { testPhone } from '../support/ntf-server.js';
import { connectClient } from '../support/world/client.js';
import { eventually, eventuallyLater } from '../support/world/eventually.js';
import { Messenger, type MessengerQueue } from '../support/world/messenger.js';
import { TestPhone } from '../support/world/phone.js';
import { startWorld, TOPIC, type World } from '../support/world/world.js';

const DAY_MS = 24 * 3_600_000;

async function killAndStart(world: World, meanwhile: () => Promise<void> = async () => {}): Promise<void> {
  await world.subscriber.close();
  await meanwhile();
  await world.startSubscriber();
}

describe('the SDK after kill -9', () => {
  let world: World;
  let phone: TestPhone;
  before(async () => {
    world = await startWorld({ subscriberProcess: true });
    phone = new TestPhone(world);
    await phone.register();
    await phone.follow('friend');
    await phone.follow('family');
    await phone.wakesUp('friend');
  });
  after(() => world.close());

  const proofs = () => phone.results.filter((r) => r?.kind === 'verification' && r.verified).length;

  /** The phone is known and its queues are followed, by nobody's doing but its own. */
  async function recovered(proofsBefore: number, tokenBefore: string): Promise<void> {
    await eventuallyLater(world.clock, 'a new proof', () => proofs() > proofsBefore);
    assert.equal(phone.sdk.status, 'ACTIVE');
    assert.notEqual(tokenId(), tokenBefore);
    await eventuallyLater(
      world.clock,
      'both queues',
      () => world.messagingServers[0]!.counters().subscriptions === 2,
    );
    for (const name of ['friend', 'family']) await phone.wakesUp(name);
  }

  /** The app calls its SDK until the subscriber answers: it may not have reached the gateway yet. */
  const answered = (call: () => Promise<void>) =>
    eventuallyLater(world.clock, 'an answer', async () => {
      try {
        await call();
        return true;
      } catch (error) {
        if (error instanceof NtfConnectionError) return false;
        throw error;
      }
    });

  const tokenId = () => toHex(phone.sdk.save().device!.registered!.tokenId);

  test('at its next check it finds out, proves itself again, and is told what came meanwhile', async () => {
    const [proofsBefore, tokenBefore] = [proofs(), tokenId()];
    const told = () => phone.pushes.flatMap(({ entries }) => entries).length;
    let toldBefore = 0;
    await killAndStart(world, async () => {
      await eventually('no subscription', () => world.messagingServers[0]!.counters().subscriptions === 0);
      world.clock.leap(phone.sdk.nextCheckAt! - world.clock.now());
      await assert.rejects(phone.sdk.check(), NtfConnectionError);
      assert.equal(phone.sdk.status, 'ACTIVE', 'no answer means nothing');
      toldBefore = told();
      await phone.receive('family'); // kept by the messaging server
    });
    await answered(() => phone.sdk.check());
    await eventuallyLater(world.clock, 'the message', () => told() > toldBefore);
    await recovered(proofsBefore, tokenBefore);
  });

  test('at the next start of its app, too', async () => {
    const [proofsBefore, tokenBefore] = [proofs(), tokenId()];
    await killAndStart(world);
    await answered(() => phone.sdk.register({ provider: 'AT', text: utf8(phone.token) }));
    await recovered(proofsBefore, tokenBefore);
  });

  test('killed again before the proof came back: the next check begins anew', async () => {
    const device = world.apns.devices.find('test', phone.token)!;
    world.apns.deliveries.setOnline(device, false);
    await killAndStart(world);
    await answered(() => phone.sdk.check());
    assert.equal(phone.sdk.status, 'REGISTERED');
    const [proofsBefore, tokenBefore] = [proofs(), tokenId()];
    await killAndStart(world);
    world.apns.deliveries.setOnline(device, true);
    await answered(() => phone.sdk.check());
    await recovered(proofsBefore, tokenBefore);
  });
});

describe('a stock agent after kill -9', () => {
  let world: World;
  let messenger: Messenger;
  let agent: StockAgent;
  before(async () => {
    world = await startWorld({ subscriberProcess: true });
    messenger = new Messenger(world.crypto, world.messagingServers[0]!);
    world.onClose(() => messenger.close());
    agent = new StockAgent(world);
    await agent.start();
  });
  after(() => world.close());

  test('SCHK: AUTH, new credentials, and a token that is unknown; the next start of the app brings all back', async () => {
    let queue = await messenger.createQueue();
    assert.equal(await agent.subscribe(queue), 'IDSUB');
    await followed(1);
    await wakes(queue);
    const tokenBefore = toHex(agent.tokenId);

    await killAndStart(world);
    world.clock.leap(3 * DAY_MS);
    assert.equal(await agent.text({ word: 'SCHK' }, agent.subscriptionId), 'ERR AUTH');
    queue = await messenger.renewNotifier(queue);
    assert.equal(await agent.subscribe(queue), 'ERR AUTH', 'the token is unknown as well');
    // What the app asks by itself is only reported.
    assert.equal(await agent.text({ word: 'TCHK' }), 'ERR AUTH');

    await agent.start();
    assert.notEqual(toHex(agent.tokenId), tokenBefore);
    assert.equal(await agent.text({ word: 'TCHK' }), 'TKN ACTIVE');
    queue = await messenger.renewNotifier(queue);
    assert.equal(await agent.subscribe(queue), 'IDSUB');
    await followed(1);
    assert.equal(await agent.text({ word: 'SCHK' }, agent.subscriptionId), 'SUB ACTIVE');
    await wakes(queue);
  });

  test('with a code from before: AUTH, new keys, and the code of the new registration is right', async () => {
    const code = await agent.lastCode();
    await killAndStart(world);
    assert.equal(await agent.text({ word: 'TVFY', code }), 'ERR AUTH');
    agent.makeKeys();
    await agent.start();
    assert.equal(await agent.text({ word: 'TCHK' }), 'TKN ACTIVE');
  });

  const followed = (count: number) =>
    eventuallyLater(
      world.clock,
      'followed',
      () => world.messagingServers[0]!.counters().subscriptions === count,
    );

  async function wakes(queue: MessengerQueue): Promise<void> {
    const before = agent.seen;
    await messenger.send(queue);
    await eventually('a push', () => agent.items(before).includes(toHex(queue.notifier.id)));
  }
});

/** What the stock agent does on the wire, as far as its app lets it (guide I.2, I.3). */
class StockAgent {
  tokenId: Uint8Array = new Uint8Array(0);
  subscriptionId: Uint8Array = new Uint8Array(0);
  private readonly world: World;
  private readonly token: string;
  private phone!: ReturnType<typeof testPhone>;
  private client: NtfTestClient | undefined;
  private dhSecret: Uint8Array = new Uint8Array(0);

  constructor(world: World) {
    this.world = world;
    this.token = world.apns.devices.register({ environment: 'test', topic: TOPIC }).token;
    this.makeKeys();
    world.onClose(() => this.client?.close());
  }

  /** How many pushes came. */
  get seen(): number {
    return this.pushes().length;
  }

  makeKeys(): void {
    this.phone = testPhone(this.world.crypto, { provider: 'AT', token: this.token });
  }

  /** The start of its app: TNEW with the keys that it has, the code of the push back, periodic checks wanted. */
  async start(): Promise<void> {
    const before = this.seen;
    const response = await this.send(this.phone.tnew);
    assert.ok(response.word === 'IDTKN');
    this.tokenId = response.tokenId.slice();
    this.dhSecret = this.world.crypto.x25519(this.phone.dhPrivateKey, response.dhKey);
    await eventuallyLater(this.world.clock, 'a verification push', () => this.seen > before);
    assert.equal(await this.text({ word: 'TVFY', code: await this.lastCode() }), 'OK');
    assert.equal(await this.text({ word: 'TCRN', minutes: 20 }), 'OK');
  }

  async lastCode(): Promise<Uint8Array> {
    const opened = this.pushes()
      .map((payload) => this.open(payload))
      .filter((push) => push?.kind === 'verification');
    const last = opened.at(-1);
    assert.ok(last?.kind === 'verification');
    return last.code;
  }

  async subscribe({ server, notifier }: MessengerQueue): Promise<string> {
    const queue = { server: server.address, notifierId: notifier.id };
    const command = { word: 'SNEW', tokenId: this.tokenId, queue, notifierKey: notifier.key } as const;
    const response = await this.send(command);
    if (response.word === 'IDSUB') this.subscriptionId = response.subscriptionId.slice();
    return replyText(response);
  }

  async text(command: NtfCommand, entityId = this.tokenId): Promise<string> {
    return replyText(await this.send(command, entityId));
  }

  /** Notifier ids (hex) in the pushes behind the first `after`. */
  items(after: number): string[] {
    return this.pushes()
      .slice(after)
      .flatMap((payload) => {
        const push = this.open(payload);
        return push?.kind === 'messages' ? push.items.map(({ queue }) => toHex(queue.notifierId)) : [];
      });
  }

  /** Again on a new connection as long as none answers: no agent gives up for that. */
  private async send(command: NtfCommand, entityId?: Uint8Array): Promise<NtfResponse> {
    let response: NtfResponse | undefined;
    await eventuallyLater(this.world.clock, 'an answer', async () => {
      try {
        this.client ??= await connectClient(this.world);
        const context = { key: this.phone.key, ...(entityId && { entityId }) };
        ({ response } = await this.client.send(command, context));
      } catch {
        this.client = undefined;
      }
      return response !== undefined;
    });
    return response!;
  }

  /** Undefined for one under earlier keys. */
  private open(payload: string) {
    try {
      return openPush(naclCrypto, this.dhSecret, payload);
    } catch {
      return undefined;
    }
  }

  private pushes(): string[] {
    const { deliveries } = this.world.apns;
    const query = { environment: 'test', token: this.token, step: 'delivered' } as const;
    return deliveries.read(query).map(({ payload }) => payload);
  }
}
