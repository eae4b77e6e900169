/**
 * A phone in chaos: a token of Apple's, the SDK as its app, queues that it follows. Tells what pushes said to it.
 * Has periodic checks switched off, so that a check always tells of something.
 */
import type { LogEntry } from '../../services/simulators/apns/deliveries.js';
import type { ApnsSimulator } from '../../services/simulators/apns/server.js';
import type { Crypto } from '../../shared/crypto/crypto.js';
import { toHex, utf8 } from '../../shared/encoding/bytes.js';
import { sleep, systemClock } from '../../shared/run/clock.js';
import { PorchlightPhone } from '../../shared/sdk/client.js';
import { naclCrypto } from '../../shared/sdk/nacl.js';
import { tlsConnect } from '../../shared/sdk/node/tls-transport.js';
import { openMetadata, openPush } from '../../shared/sdk/open.js';
import type { QueueCredentials } from '../../shared/sdk/subscriptions.js';
import { NtfTestClient } from '../support/ntf-client.js';
import type { LeapClock } from '../support/world/leap-clock.js';
import { holdsWithin, within } from './bounded.js';

const HOST = '127.0.0.1';
const LISTEN_MS = 3_600_000;
const RETRY_MS = 150;
const ANSWER_MS = 5_000;
/** In which a push with a code comes, if nothing is in its way. */
const PUSH_MS = 2_000;
/** What an Ed25519 key of the SDK begins with. */
const SEED_SIZE = 32;

export interface PhoneSetting {
  readonly name: string;
  readonly topic: string;
  readonly crypto: Crypto;
  readonly clock: LeapClock;
  readonly apns: ApnsSimulator;
  readonly keyHash: Uint8Array;
  /** Where the phone connects: the network in front of the subscriber. */
  readonly port: number;
  /** The subscriber itself. */
  readonly directPort: () => number;
  readonly sawCheck: () => void;
  readonly sawEntry: (queue: string, messageId: string) => void;
}

export class ChaosPhone {
  readonly name: string;
  /** Whether the subscriber knows the phone and all its queues. */
  isSettled = false;
  private readonly setting: PhoneSetting;
  private readonly sdk: PorchlightPhone;
  private readonly token: string;
  private readonly credentials = new Map<string, QueueCredentials>();
  private readonly listening: Promise<void>;
  private closed = false;

  constructor(setting: PhoneSetting) {
    const { name, apns, clock, keyHash, port, topic } = setting;
    this.name = name;
    this.setting = setting;
    this.token = apns.devices.register({ environment: 'test', topic }).token;
    this.sdk = new PorchlightPhone({
      keyHash,
      clock,
      connect: tlsConnect({ host: HOST, port, keyHash, clock }),
      renewNotifier: (queue) => Promise.resolve(this.credentials.get(queue)!),
    });
    this.listening = this.listen();
  }

  /** Names a queue that the phone wants to be woken for; `settle` sees to it. */
  want(queue: string, credentials: QueueCredentials): void {
    this.credentials.set(queue, credentials);
  }

  /** Registers, answers, subscribes, again and again until it is done; checks what is there first. */
  async settle(): Promise<void> {
    this.isSettled = false;
    let isChecked = false;
    while (!this.closed && !this.isSettled) {
      isChecked ||= await succeeds(this.sdk.check());
      if (isChecked) this.isSettled = (await succeeds(this.attempt())) && (await this.isDone());
      if (!this.isSettled) await sleep(systemClock, RETRY_MS);
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    this.sdk.close();
    this.setting.apns.deliveries.dismiss();
    await this.listening;
  }

  private async attempt(): Promise<void> {
    if (this.sdk.status !== 'ACTIVE') await this.register();
    if (this.sdk.status !== 'ACTIVE') return;
    for (const [name, credentials] of this.credentials) await this.subscribe(name, credentials);
  }

  /** Each time asks for another push with a code, so it waits for the one that is on its way. */
  private async register(): Promise<void> {
    await this.sdk.register({ provider: 'AT', text: utf8(this.token) });
    await holdsWithin(PUSH_MS, () => this.sdk.status === 'ACTIVE' || this.closed);
  }

  private async subscribe(name: string, credentials: QueueCredentials): Promise<void> {
    if (this.sdk.subscription(name)?.subscriptionId === undefined)
      await this.sdk.subscribe(name, credentials);
  }

  private async isDone(): Promise<boolean> {
    const known = [...this.credentials.keys()].map((name) => this.sdk.subscription(name));
    const isKnown =
      this.sdk.status === 'ACTIVE' && known.every((queue) => queue?.subscriptionId !== undefined);
    return isKnown && (await this.switchChecksOff());
  }

  private async switchChecksOff(): Promise<boolean> {
    const { crypto, keyHash, directPort } = this.setting;
    const { authKey, registered } = this.sdk.save().device!;
    const key = { algorithm: 'ed25519', raw: authKey.privateKey.slice(0, SEED_SIZE) } as const;
    const ask = async (): Promise<boolean> => {
      const client = await NtfTestClient.connect({ port: directPort(), keyHash, crypto, alpn: ['ntf/1'] });
      const context = { key, entityId: registered!.tokenId };
      const reply = await client.text({ word: 'TCRN', minutes: 0 }, context);
      client.close();
      return reply === 'OK';
    };
    return within(ANSWER_MS, 'answer to TCRN', ask()).catch(() => false);
  }

  private async listen(): Promise<void> {
    for (let after = 0; !this.closed; ) {
      const query = { environment: 'test', token: this.token, step: 'delivered', after } as const;
      for (const delivery of await this.setting.apns.deliveries.wait(query, LISTEN_MS)) {
        after = delivery.seq;
        this.take(delivery);
      }
    }
  }

  private take({ payload }: LogEntry): void {
    // A code goes back in its own time; a broken connection is repaired by `settle`.
    void this.sdk.onPush(payload).catch(() => {});
    const { device, subscriptions } = this.sdk.save();
    try {
      const opened = openPush(naclCrypto, device?.registered?.dhSecret, payload);
      if (opened.kind === 'check') this.setting.sawCheck();
      if (opened.kind !== 'messages') return;
      for (const item of opened.items) {
        const id = toHex(item.queue.notifierId);
        const known = subscriptions.find(({ queue }) => toHex(queue.notifierId) === id);
        const meta = known && openMetadata(naclCrypto, known.metadataSecret, item);
        if (meta) this.setting.sawEntry(known.name, toHex(meta.messageId));
      }
    } catch {
      // for an earlier registration of this phone
    }
  }
}

const succeeds = (work: Promise<unknown>): Promise<boolean> =>
  work.then(
    () => true,
    () => false,
  );
