/**
 * The phone of the demo, a process of its own: it sleeps, and only a push wakes it. It registers with the subscriber
 * through the SDK, has one queue on the messaging server, and on each wake-up fetches and opens what waits there.
 */
import nacl from 'tweetnacl';
import { loadCrypto } from '../../shared/crypto/load.js';
import { toBase64url } from '../../shared/encoding/base64url.js';
import { utf8 } from '../../shared/encoding/bytes.js';
import { sleep, systemClock } from '../../shared/run/clock.js';
import { PorchlightPhone } from '../../shared/sdk/client.js';
import { tlsConnect } from '../../shared/sdk/node/tls-transport.js';
import { parsePairing } from '../../shared/sdk/pairing.js';
import type { QueueCredentials } from '../../shared/sdk/subscriptions.js';
import { parseServer } from '../../shared/smp/address.js';
import type { ServerMessage } from '../../shared/smp/commands.js';
import type { OwnQueue, SmpClient } from '../simulators/smp/client.js';
import { ApnsControl } from './apns-control.js';
import { openLetter } from './end-to-end.js';
import { connectTo } from './messaging.js';
import type { Invitation, PhoneReport, PhoneSetting } from './phone-reports.js';

const QUEUE = 'friend';
const RETRY_MS = 500;
const POLL_MS = 20;
const FIRST_MESSAGE_MS = 250;

class DemoPhone {
  private readonly setting: PhoneSetting;
  private readonly apple: ApnsControl;
  private readonly letterKeys = nacl.box.keyPair();
  private queue!: OwnQueue;
  private phone!: PorchlightPhone;
  private opened = new Set<number>();
  private fetching: Promise<void> = Promise.resolve();

  constructor(setting: PhoneSetting) {
    this.setting = setting;
    this.apple = new ApnsControl(setting.apnsControlPort);
  }

  async run(): Promise<void> {
    const { subscriber, profile } = parsePairing(this.setting.pairing);
    this.phone = new PorchlightPhone({
      keyHash: subscriber.keyHash,
      profile,
      connect: tlsConnect({ ...subscriber, clock: systemClock }),
      renewNotifier: () => this.renewNotifier(),
      clock: systemClock,
    });
    const token = await this.apple.registerPhone(this.setting.topic);
    const listening = this.listen(token);
    await this.persist(() => this.phone.register({ provider: 'AT', text: utf8(token) }));
    await this.persist(async () => {
      this.queue = await this.withServer((client) => client.createQueue({ notifier: true }));
    });
    await this.persist(() => this.subscribe());
    report({ kind: 'invitation', invitation: this.invitation(token) });
    report({ kind: 'asleep' });
    await listening;
  }

  /** Waits for pushes as the system does for an app, and starts the app for each. */
  private async listen(token: string): Promise<void> {
    for (let after = 0; ; ) {
      const entries = await this.apple.deliveries(token, after).catch(() => sleep(systemClock, RETRY_MS));
      for (const { seq, at, payload } of entries ?? []) {
        after = seq;
        report({ kind: 'pushed', at });
        await this.wake(payload);
      }
    }
  }

  private async wake(payload: string): Promise<void> {
    const result = await this.phone.onPush(payload).catch(() => undefined);
    if (result?.kind === 'messages' || result?.kind === 'check') this.fetch();
  }

  /** Fetches until it worked: a message that waits is not lost because the server is away for a moment. */
  private fetch(): void {
    this.fetching = this.fetching.then(async () => {
      await this.persist(() => this.withServer((client) => this.empty(client)));
      report({ kind: 'asleep' });
    });
  }

  /** Reads one message after the other until the queue is empty. */
  private async empty(client: SmpClient): Promise<void> {
    await client.subscribe(this.queue);
    let message = await firstMessage(client);
    while (message) {
      const content = client.open(this.queue, message);
      const letter = content.kind === 'message' && openLetter(content.body, this.letterKeys.secretKey);
      if (letter && !this.opened.has(letter.number)) {
        this.opened.add(letter.number);
        report({ kind: 'opened', at: systemClock.now(), letter });
      }
      message = await client.acknowledge(this.queue, message.messageId);
    }
  }

  /** Connects, does something, disconnects: a phone keeps no connections while it sleeps. */
  private async withServer<T>(run: (client: SmpClient) => Promise<T>): Promise<T> {
    const client = await connectTo(crypto, this.setting.messagingServer);
    try {
      return await run(client);
    } finally {
      client.close();
    }
  }

  /** Notifications that come before the subscriber listens wait at the messaging server (guide G.3). */
  private async subscribe(): Promise<void> {
    while (this.phone.status !== 'ACTIVE') await sleep(systemClock, POLL_MS);
    const { subscriptionId } = await this.phone.subscribe(QUEUE, this.credentials());
    if (subscriptionId === undefined) throw new Error('not subscribed');
  }

  private credentials(): QueueCredentials {
    const { id: notifierId, key: notifierKey, secret: metadataSecret } = this.queue.notifier!;
    const server = parseServer(this.setting.messagingServer);
    return { queue: { server, notifierId }, notifierKey, metadataSecret };
  }

  private async renewNotifier(): Promise<QueueCredentials> {
    const notifier = await this.withServer((client) => client.enableNotifications(this.queue));
    this.queue = { ...this.queue, notifier };
    return this.credentials();
  }

  private invitation(deviceToken: string): Invitation {
    const { senderId, recipientId, notifier } = this.queue;
    return {
      senderId: toBase64url(senderId),
      letterKey: toBase64url(this.letterKeys.publicKey),
      recipientId: toBase64url(recipientId),
      notifierId: toBase64url(notifier!.id),
      deviceToken,
    };
  }

  private async persist(attempt: () => Promise<unknown>): Promise<void> {
    for (;;) {
      try {
        await attempt();
        return;
      } catch {
        await sleep(systemClock, RETRY_MS);
      }
    }
  }
}

type Message = Extract<ServerMessage, { word: 'MSG' }>;

/** What waits in a queue just subscribed comes at once, or nothing waits. */
async function firstMessage(client: SmpClient): Promise<Message | undefined> {
  const event = await Promise.race([client.nextEvent(), sleep(systemClock, FIRST_MESSAGE_MS)]);
  return event?.message.word === 'MSG' ? event.message : undefined;
}

const report = (message: PhoneReport): void => void process.send?.(message);

const crypto = await loadCrypto();
process.once('message', (setting: PhoneSetting) => {
  void new DemoPhone(setting).run();
});
process.once('disconnect', () => process.exit());
