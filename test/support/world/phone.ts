/** A simulated phone: a device token of Apple's, the SDK as its app, and a memory of every push that it got. */
import type { LogEntry } from '../../../services/simulators/apns/deliveries.js';
import { toHex, utf8 } from '../../../shared/encoding/bytes.js';
import type { AuthAlgorithm, Key } from '../../../shared/encoding/keys.js';
import { PorchlightPhone, type PushResult } from '../../../shared/sdk/client.js';
import type { MessageNews } from '../../../shared/sdk/messages.js';
import { naclCrypto } from '../../../shared/sdk/nacl.js';
import { tlsConnect } from '../../../shared/sdk/node/tls-transport.js';
import { openMetadata, openPush } from '../../../shared/sdk/open.js';
import type { QueueCredentials } from '../../../shared/sdk/subscriptions.js';
import { connectClient } from './client.js';
import { eventually, eventuallyLater } from './eventually.js';
import { Messenger, type MessengerQueue } from './messenger.js';
import { HOST, TOPIC, type World } from './world.js';

const LISTEN_MS = 600_000;
/** What an Ed25519 key of the SDK begins with. */
const SEED_SIZE = 32;

/** An entry of a push, whether it was news to the app or not. */
export interface SeenEntry {
  /** Name of the queue. */
  readonly name: string;
  /** Hex. */
  readonly messageId: string;
}

export interface SeenPush {
  readonly delivery: LogEntry;
  /** Undefined where the SDK rejected: no answer from the subscriber. */
  readonly result: PushResult | undefined;
  readonly entries: readonly SeenEntry[];
}

export class TestPhone {
  readonly sdk: PorchlightPhone;
  readonly pushes: SeenPush[] = [];
  /** By name. */
  readonly queues = new Map<string, MessengerQueue>();
  /** Called with each push when the app is done with it. */
  onSeen: (push: SeenPush) => void = () => {};
  token: string;
  private readonly world: World;
  private readonly messengers = new Map<MessengerQueue['server'], Messenger>();
  private listening: Promise<void>;
  private closed = false;

  /** With a token, not yet registered. */
  constructor(world: World) {
    const { keyHash, port } = world.notificationServer;
    this.world = world;
    this.token = this.newToken();
    this.sdk = new PorchlightPhone({
      keyHash,
      connect: tlsConnect({ host: HOST, port: Number(port), keyHash, clock: world.clock }),
      renewNotifier: (name) => this.renewNotifier(name),
      clock: world.clock,
    });
    this.listening = this.listen(this.token);
    world.onClose(() => this.close());
  }

  get results(): (PushResult | undefined)[] {
    return this.pushes.map(({ result }) => result);
  }

  get news(): MessageNews[] {
    return this.results.flatMap((result) => (result?.kind === 'messages' ? result.news : []));
  }

  /** Has the app register, and waits until it is verified. */
  async register(): Promise<void> {
    const registering = async (): Promise<boolean> => {
      await this.sdk.register({ provider: 'AT', text: utf8(this.token) }).catch(() => {});
      return this.sdk.status !== undefined && this.sdk.status !== 'NEW';
    };
    await eventuallyLater(this.world.clock, 'registration', registering);
    await this.verified();
  }

  /** The app has taken in the push with the code, and the subscriber the code. */
  verified(): Promise<void> {
    const isVerified = (result: PushResult | undefined) => result?.kind === 'verification' && result.verified;
    const isDone = () => this.sdk.status === 'ACTIVE' && this.results.some(isVerified);
    return eventuallyLater(this.world.clock, 'verification', isDone);
  }

  /** No periodic checks from now on, until the app checks by itself: a check then tells of a flag. */
  async stopPeriodicChecks(): Promise<void> {
    const client = await connectClient(this.world);
    const reply = await client.text({ word: 'TCRN', minutes: 0 }, this.authority);
    client.close();
    if (reply !== 'OK') throw new Error(reply);
  }

  /** What authorises commands about this phone's registration, for a client of another make. */
  get authority(): { readonly key: Key<AuthAlgorithm>; readonly entityId: Uint8Array } {
    const { authKey, registered } = this.sdk.save().device!;
    const key = { algorithm: 'ed25519', raw: authKey.privateKey.slice(0, SEED_SIZE) } as const;
    return { key, entityId: registered!.tokenId };
  }

  /** Somebody writes to the queue, and a push says so. */
  async wakesUp(name: string): Promise<void> {
    const before = this.pushes.length;
    await this.receive(name);
    const isTold = () =>
      this.pushes.slice(before).some(({ entries }) => entries.some((e) => e.name === name));
    await eventually(`push about ${name}`, isTold);
  }

  /** Apple gives the app another token; pushes to both are seen. */
  changeToken(): void {
    this.token = this.newToken();
    this.listening = Promise.all([this.listening, this.listen(this.token)]).then(() => {});
  }

  /** A new queue that the phone wants to be woken for, and the subscriber follows. */
  async follow(
    name: string,
    server = this.world.messagingServers[0]!,
    algorithm?: AuthAlgorithm,
  ): Promise<void> {
    const before = server.counters().subscriptions;
    this.queues.set(name, await this.messenger(server).createQueue(algorithm));
    await this.sdk.subscribe(name, this.credentials(name));
    const isFollowed = () => server.counters().subscriptions > before;
    await eventuallyLater(this.world.clock, `subscription of ${name}`, isFollowed);
  }

  /** Somebody writes to the phone's queue. */
  receive(name: string, text?: string): Promise<void> {
    const queue = this.queues.get(name)!;
    return this.messenger(queue.server).send(queue, text);
  }

  credentials(name: string): QueueCredentials {
    const { server, notifier } = this.queues.get(name)!;
    const { id: notifierId, key: notifierKey, secret: metadataSecret } = notifier;
    return { queue: { server: server.address, notifierId }, notifierKey, metadataSecret };
  }

  messenger(server: MessengerQueue['server']): Messenger {
    const known = this.messengers.get(server) ?? new Messenger(this.world.crypto, server);
    this.messengers.set(server, known);
    return known;
  }

  async close(): Promise<void> {
    this.closed = true;
    this.sdk.close();
    for (const messenger of this.messengers.values()) messenger.close();
    this.world.apns.deliveries.dismiss();
    await this.listening;
  }

  private newToken(): string {
    return this.world.apns.devices.register({ environment: 'test', topic: TOPIC }).token;
  }

  private async renewNotifier(name: string): Promise<QueueCredentials> {
    const queue = this.queues.get(name)!;
    this.queues.set(name, await this.messenger(queue.server).renewNotifier(queue));
    return this.credentials(name);
  }

  private async listen(token: string): Promise<void> {
    const { deliveries } = this.world.apns;
    for (let after = 0; !this.closed; ) {
      const query = { environment: 'test', token, step: 'delivered', after } as const;
      for (const delivery of await deliveries.wait(query, LISTEN_MS)) {
        after = delivery.seq;
        await this.take(delivery);
      }
    }
  }

  private async take(delivery: LogEntry): Promise<void> {
    const result = await this.sdk.onPush(delivery.payload).catch(() => undefined);
    const push = { delivery, result, entries: result ? this.entriesOf(delivery.payload) : [] };
    this.pushes.push(push);
    this.onSeen(push);
  }

  private entriesOf(payload: string): SeenEntry[] {
    const { device, subscriptions } = this.sdk.save();
    const opened = openPush(naclCrypto, device?.registered?.dhSecret, payload);
    if (opened.kind !== 'messages') return [];
    return opened.items.flatMap((item) => {
      const id = toHex(item.queue.notifierId);
      const queue = subscriptions.find((s) => toHex(s.queue.notifierId) === id);
      const meta = queue && openMetadata(naclCrypto, queue.metadataSecret, item);
      return meta ? [{ name: queue.name, messageId: toHex(meta.messageId) }] : [];
    });
  }
}
