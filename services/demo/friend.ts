/** The friend who writes: an ordinary sender at the messaging server, who knows nothing of pushes. */
import type { Crypto } from '../../shared/crypto/crypto.js';
import { fromBase64url } from '../../shared/encoding/base64url.js';
import { sleep, systemClock } from '../../shared/run/clock.js';
import type { SmpClient } from '../simulators/smp/client.js';
import { type AuthKeyPair, authKeyPair } from '../subscriber/probe/smp-user.js';
import { type Letter, sealLetter } from './end-to-end.js';
import { connectTo } from './messaging.js';
import type { Invitation } from './phone-reports.js';

const RETRY_MS = 250;

export class Friend {
  private readonly crypto: Crypto;
  private readonly server: string;
  private readonly senderId: Uint8Array;
  private readonly letterKey: Uint8Array;
  private readonly key: AuthKeyPair;
  private client: SmpClient | undefined;
  private closed = false;

  constructor(crypto: Crypto, server: string, { senderId, letterKey }: Invitation) {
    this.crypto = crypto;
    this.server = server;
    this.senderId = fromBase64url(senderId)!;
    this.letterKey = fromBase64url(letterKey)!;
    this.key = authKeyPair(crypto);
  }

  /** Sends until the server has taken it: a sender holds a message until then. */
  async send(letter: Letter): Promise<void> {
    const body = sealLetter(letter, this.letterKey);
    while (!this.closed) {
      try {
        this.client ??= await this.connect();
        await this.client.send(this.senderId, body, { key: this.key.privateKey });
        return;
      } catch {
        this.client?.close();
        this.client = undefined;
        await sleep(systemClock, RETRY_MS);
      }
    }
  }

  close(): void {
    this.closed = true;
    this.client?.close();
  }

  private async connect(): Promise<SmpClient> {
    const client = await connectTo(this.crypto, this.server);
    await client.secure(this.senderId, this.key); // the same key again is fine
    return client;
  }
}
