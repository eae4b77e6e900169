/** A person's messenger at one messaging server: makes queues, writes, reads. Connects again where it was cut off. */
import { connectSmp, type OwnQueue, type SmpClient } from '../../../services/simulators/smp/client.js';
import type { SmpStandIn } from '../../../services/simulators/smp/server.js';
import { SmpClosedError } from '../../../services/subscriber/probe/smp-user.js';
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { type Bytes, toHex, utf8 } from '../../../shared/encoding/bytes.js';
import type { AuthAlgorithm } from '../../../shared/encoding/keys.js';

export interface MessengerQueue extends Required<OwnQueue> {
  readonly server: SmpStandIn;
}

export class Messenger {
  private readonly crypto: Crypto;
  private readonly server: SmpStandIn;
  private client: SmpClient | undefined;

  constructor(crypto: Crypto, server: SmpStandIn) {
    this.crypto = crypto;
    this.server = server;
  }

  /** A queue with notifier credentials. */
  createQueue(algorithm?: AuthAlgorithm): Promise<MessengerQueue> {
    return this.with(async (client) => {
      const queue = await client.createQueue();
      const notifier = await client.enableNotifications(queue, algorithm);
      return { ...queue, notifier, server: this.server };
    });
  }

  /** New notifier credentials (NKEY); the old ones are dead from now on. */
  renewNotifier(queue: MessengerQueue, algorithm?: AuthAlgorithm): Promise<MessengerQueue> {
    return this.with(async (client) => {
      return { ...queue, notifier: await client.enableNotifications(queue, algorithm) };
    });
  }

  send({ senderId }: MessengerQueue, text = 'hello'): Promise<void> {
    return this.with((client) => client.send(senderId, utf8(text)));
  }

  /** Hex of the ids of all messages in the queue, oldest first; at least one. The queue is empty afterwards. */
  async drain(queue: MessengerQueue): Promise<string[]> {
    this.close(); // so that nothing comes but what is asked for
    const ids = await this.with(async (client) => {
      await client.subscribe(queue);
      const { message: first } = await client.nextEvent();
      const found: string[] = [];
      let message = first.word === 'MSG' ? first : undefined;
      while (message) {
        found.push(toHex(message.messageId));
        message = await client.acknowledge(queue, message.messageId);
      }
      return found;
    });
    this.close();
    return ids;
  }

  /** Anything else, on the connection that is there or a new one. */
  async with<T>(run: (client: SmpClient) => Promise<T>): Promise<T> {
    try {
      this.client ??= await this.connect();
      return await run(this.client);
    } catch (error) {
      this.close();
      if (!(error instanceof SmpClosedError)) throw error;
    }
    this.client = await this.connect();
    return run(this.client);
  }

  close(): void {
    this.client?.close();
    this.client = undefined;
  }

  private connect(): Promise<SmpClient> {
    const { host, port, address } = this.server;
    return connectSmp({ crypto: this.crypto, host, port, keyHash: address.keyHash as Bytes });
  }
}
