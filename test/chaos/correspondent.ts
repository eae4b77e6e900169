/**
 * People at one messaging server: make queues, write, read. They talk to the server itself, not through the network
 * that breaks: what is tested begins where the server took a message.
 */
import { connectSmp, type OwnQueue, type SmpClient } from '../../services/simulators/smp/client.js';
import type { SmpStandIn } from '../../services/simulators/smp/server.js';
import type { Crypto } from '../../shared/crypto/crypto.js';
import { fromUtf8, toHex, utf8 } from '../../shared/encoding/bytes.js';
import { sleep, systemClock } from '../../shared/run/clock.js';
import { TooLong, within } from './bounded.js';

const ANSWER_MS = 2_000;
/** Generous: on a busy machine four worlds share one thread. */
const CONNECT_MS = 10_000;
const RETRY_MS = 20;
/** What waits in a queue just subscribed comes at once, or nothing waits. */
const FIRST_MESSAGE_MS = 150;
const PATIENCE_MS = 15_000;

export type WatchedQueue = Required<OwnQueue>;

export interface ReadMessage {
  /** Hex. */
  readonly id: string;
  readonly number: number;
}

export class Correspondent {
  private readonly crypto: Crypto;
  private readonly server: SmpStandIn;
  private sender: Promise<SmpClient> | undefined;

  constructor(crypto: Crypto, server: SmpStandIn) {
    this.crypto = crypto;
    this.server = server;
  }

  async createQueue(): Promise<WatchedQueue> {
    const client = await this.connect();
    try {
      const queue = await client.createQueue();
      return { ...queue, notifier: await client.enableNotifications(queue) };
    } finally {
      client.close();
    }
  }

  /** Sends until the server has taken it, as a sender does. */
  async send({ senderId }: WatchedQueue, number: number): Promise<void> {
    const end = systemClock.monotonic() + PATIENCE_MS;
    for (;;) {
      const sender = this.sender ?? this.connect();
      this.sender = sender;
      try {
        const client = await sender;
        await within(ANSWER_MS, 'answer to SEND', client.send(senderId, utf8(String(number))));
        return;
      } catch (error) {
        if (systemClock.monotonic() > end) throw error;
        if (this.sender === sender) this.sender = undefined;
        void sender.then((client) => client.close()).catch(() => {});
        await sleep(systemClock, RETRY_MS);
      }
    }
  }

  /** Everything in the queue, oldest first; it is empty afterwards. @param waits whether something is known to be there */
  async drain(queue: WatchedQueue, waits: boolean): Promise<ReadMessage[]> {
    const client = await this.connect();
    try {
      await client.subscribe(queue);
      const first = await ifInTime(waits ? CONNECT_MS : FIRST_MESSAGE_MS, client.nextEvent());
      const found: ReadMessage[] = [];
      let message = first?.message.word === 'MSG' ? first.message : undefined;
      while (message) {
        const content = client.open(queue, message);
        if (content.kind === 'message')
          found.push({ id: toHex(message.messageId), number: Number(fromUtf8(content.body)) });
        message = await client.acknowledge(queue, message.messageId);
      }
      return found;
    } finally {
      client.close();
    }
  }

  close(): void {
    void this.sender?.then((client) => client.close()).catch(() => {});
  }

  private connect(): Promise<SmpClient> {
    const { host, port, address } = this.server;
    const { keyHash } = address;
    return within(CONNECT_MS, 'messaging server', connectSmp({ crypto: this.crypto, host, port, keyHash }));
  }
}

/** What comes of it within `ms`; undefined where that takes longer. */
const ifInTime = <T>(ms: number, work: Promise<T>): Promise<T | undefined> =>
  within(ms, 'first message', work).catch((error: unknown) => {
    if (error instanceof TooLong) return undefined;
    throw error;
  });
