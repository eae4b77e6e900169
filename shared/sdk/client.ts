/**
 * The phone's side of Porchlight, as an app uses it (guide I, design §4.3): register, answer the verification push,
 * subscribe, check, repair what is missing, open pushes. Behaves as the stock agent does. Operations run one after
 * another; state is in memory, and `save` gives it to the app's own storage.
 */
import type { DeviceToken } from '../ntf/commands.js';
import type { NtfTokenStatus } from '../ntf/responses.js';
import type { Clock } from '../run/clock.js';
import { Connection } from './connection.js';
import { type MessageNews, newsIn } from './messages.js';
import { naclCrypto, type SdkCrypto } from './nacl.js';
import { type OpenedPush, openPush, PushError } from './open.js';
import { Registration } from './registration.js';
import type { PhoneState } from './state.js';
import { type QueueCredentials, type Subscription, Subscriptions } from './subscriptions.js';
import { type Connect, NtfConnectionError } from './transport.js';
import { Upkeep } from './upkeep.js';

export interface PhoneOptions {
  /** SHA-256 of the notification server's identity certificate, from its address. */
  readonly keyHash: Uint8Array;
  readonly connect: Connect;
  /** Asks the messaging client for new notifier credentials of a queue (NKEY), and remembers them there. */
  readonly renewNotifier: (name: string) => Promise<QueueCredentials>;
  readonly clock: Clock;
  readonly crypto?: SdkCrypto;
  readonly saved?: PhoneState;
}

export type PushResult =
  /** Whether the server took the code. If not, the phone has registered anew and waits for another push. */
  | { readonly kind: 'verification'; readonly verified: boolean }
  | { readonly kind: 'messages'; readonly news: readonly MessageNews[] }
  /** Fetch messages everywhere, and call `check`. */
  | { readonly kind: 'check' }
  /** Nothing that this phone waits for. */
  | { readonly kind: 'ignored' };

const IGNORED: PushResult = { kind: 'ignored' };

export class PorchlightPhone {
  private readonly crypto: SdkCrypto;
  private readonly clock: Clock;
  private readonly connection: Connection;
  private readonly registration: Registration;
  private readonly subscriptions: Subscriptions;
  private readonly upkeep: Upkeep;
  private turn: Promise<unknown> = Promise.resolve();

  constructor(options: PhoneOptions) {
    const { clock, keyHash, saved, renewNotifier, crypto = naclCrypto } = options;
    this.crypto = crypto;
    this.clock = clock;
    const connection = new Connection(options.connect, { crypto, clock, keyHash });
    const subscriptions = new Subscriptions(saved?.subscriptions);
    this.connection = connection;
    this.subscriptions = subscriptions;
    this.upkeep = new Upkeep({ connection, subscriptions, renewNotifier, clock });
    this.registration = new Registration({
      connection,
      crypto,
      saved: saved?.device,
      onNew: () => subscriptions.announceAll(clock.now()),
    });
  }

  /** Where the registration stands; undefined before the first one. Pushes are opened while it is `ACTIVE`. */
  get status(): NtfTokenStatus['kind'] | undefined {
    return this.registration.device?.status;
  }

  /** When `check` has something to do for a queue next, in Unix milliseconds. */
  get nextCheckAt(): number | undefined {
    return this.subscriptions.nextDueAt;
  }

  subscription(name: string): Subscription | undefined {
    return this.subscriptions.get(name);
  }

  /** All that must be kept between starts; it holds every secret of the phone. */
  save(): PhoneState {
    const { device } = this.registration;
    return { ...(device && { device }), subscriptions: this.subscriptions.all() };
  }

  /**
   * At each start of the app, with the device token that the system gave (guide I.2).
   * Rejects with `NtfConnectionError` (call again) or `NtfRefusal`.
   */
  register(token: DeviceToken): Promise<void> {
    return this.inTurn(async () => {
      await this.registration.begin(token);
      await this.repair();
    });
  }

  /**
   * On a `check` push, at `nextCheckAt`, and whenever the app likes: finishes what was begun, asks after the
   * registration and makes it again where the server lost it, then does what is due for the queues.
   */
  check(): Promise<void> {
    return this.inTurn(async () => {
      await this.registration.check();
      await this.repair();
    });
  }

  /**
   * What a push means; the code of a verification push goes back to the server before this resolves.
   * Rejects with `PushError`, `NtfConnectionError` (the code is kept: `register` and `check` return it), `NtfRefusal`.
   * @param payload JSON text, or the object that the system made of it
   */
  async onPush(payload: unknown): Promise<PushResult> {
    const opened = await this.open(payload);
    if (opened.kind === 'check') return opened;
    if (opened.kind === 'verification') return this.inTurn(() => this.answer(opened.code));
    if (this.status !== 'ACTIVE') return IGNORED;
    const news = newsIn(this.crypto, opened.items, this.subscriptions);
    return news.length > 0 ? { kind: 'messages', news } : IGNORED;
  }

  /** Wants to be woken for a queue. Without an answer or a registration it stays due, and `check` carries on. */
  subscribe(name: string, credentials: QueueCredentials): Promise<Subscription> {
    return this.inTurn(async () => {
      this.subscriptions.add(name, credentials, this.clock.now());
      await this.upkeep.run(this.registration.device);
      return this.subscriptions.get(name)!;
    });
  }

  /** No longer. Locally only, as the stock agent does: the messaging client tells its server (NDEL). */
  unsubscribe(name: string): void {
    this.subscriptions.remove(name);
  }

  /** Forgets the registration here and, where it can be reached, at the server. */
  unregister(): Promise<void> {
    return this.inTurn(async () => {
      try {
        await this.registration.end();
      } catch (error) {
        if (!(error instanceof NtfConnectionError)) throw error;
      }
    });
  }

  close(): void {
    this.connection.close();
  }

  private async answer(code: Uint8Array): Promise<PushResult> {
    const verified = await this.registration.answer(code);
    if (verified === undefined) return IGNORED;
    await this.repair();
    return { kind: 'verification', verified };
  }

  private async repair(): Promise<void> {
    this.subscriptions.repair(this.clock.now());
    await this.upkeep.run(this.registration.device);
  }

  /** A push may overtake the answer that brings its secret: then what is going on is waited for. */
  private async open(payload: unknown): Promise<OpenedPush> {
    try {
      return openPush(this.crypto, this.registration.device?.registered?.dhSecret, payload);
    } catch (error) {
      if (!(error instanceof PushError) || error.reason !== 'forged') throw error;
      await this.turn;
      return openPush(this.crypto, this.registration.device?.registered?.dhSecret, payload);
    }
  }

  private inTurn<T>(run: () => Promise<T>): Promise<T> {
    const result = this.turn.then(run);
    this.turn = result.catch(() => {});
    return result;
  }
}
