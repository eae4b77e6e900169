/**
 * The phone's side of Porchlight, as an app uses it (guide I, design §4.3): register, answer the verification push,
 * subscribe, check, repair what is missing, open pushes. Behaves as the stock agent does. Operations run one after
 * another; state is in memory, and `save` gives it to the app's own storage.
 */
import type { DeviceToken } from '../ntf/commands.js';
import type { NtfTokenStatus } from '../ntf/responses.js';
import type { ProfileName } from '../relay/constants.js';
import type { Clock } from '../run/clock.js';
import { Connection } from './connection.js';
import { DeliveryLog, type DeliveryReport } from './delivery.js';
import { type MessageNews, newsIn, newsInPush } from './messages.js';
import { naclCrypto, type SdkCrypto } from './nacl.js';
import { openPush, PushError } from './open.js';
import { openPorchlightPush } from './porchlight.js';
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
  /** The form of the pushes, as gateway and subscriber have it for this app; `simplex` unless given. */
  readonly profile?: ProfileName;
  readonly crypto?: SdkCrypto;
  readonly saved?: PhoneState;
}

export type PushResult =
  /** Whether the server took the code. If not, the phone has registered anew and waits for another push. */
  | { readonly kind: 'verification'; readonly verified: boolean }
  | {
      readonly kind: 'messages';
      readonly news: readonly MessageNews[];
      /** Messages may wait in other queues too: as for `check`. */
      readonly everywhere?: true;
      /** Pushes lost just before this one, where known (profile `porchlight`). */
      readonly missed?: number;
    }
  /** Fetch messages everywhere, and call `check`. */
  | { readonly kind: 'check'; readonly missed?: number }
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
  private readonly profile: ProfileName;
  private readonly deliveries: DeliveryLog;
  private turn: Promise<unknown> = Promise.resolve();

  constructor(options: PhoneOptions) {
    const { clock, keyHash, saved, renewNotifier, crypto = naclCrypto, profile = 'simplex' } = options;
    this.crypto = crypto;
    this.clock = clock;
    const connection = new Connection(options.connect, { crypto, clock, keyHash });
    const subscriptions = new Subscriptions(saved?.subscriptions);
    const deliveries = new DeliveryLog(saved?.delivery);
    this.profile = profile;
    this.deliveries = deliveries;
    this.connection = connection;
    this.subscriptions = subscriptions;
    this.upkeep = new Upkeep({ connection, subscriptions, renewNotifier, clock });
    this.registration = new Registration({
      connection,
      crypto,
      saved: saved?.device,
      onNew: (hasNewSecret) => {
        subscriptions.announceAll(clock.now());
        deliveries.restart(hasNewSecret);
      },
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

  /** How many of the pushes sent since the registration arrived; profile `porchlight`, undefined before the first. */
  get delivery(): DeliveryReport | undefined {
    return this.deliveries.report;
  }

  subscription(name: string): Subscription | undefined {
    return this.subscriptions.get(name);
  }

  /** All that must be kept between starts; it holds every secret of the phone. */
  save(): PhoneState {
    const { device } = this.registration;
    const delivery = this.profile === 'porchlight' && { delivery: this.deliveries.saved };
    return { ...(device && { device }), subscriptions: this.subscriptions.all(), ...delivery };
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
    if (this.profile === 'porchlight') return this.onPorchlightPush(payload);
    const opened = await this.opened((secret) => openPush(this.crypto, secret, payload));
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

  /**
   * Nothing counts but what is boxed for this phone and newer than all before (design §4.3). A push counts also while
   * the proof is being renewed: its flags may come only once.
   */
  private async onPorchlightPush(payload: unknown): Promise<PushResult> {
    const opened = await this.opened((secret) => openPorchlightPush(this.crypto, secret, payload));
    if (opened.kind === 'verification') return this.inTurn(() => this.answer(opened.code));
    if (opened.kind === 'ignored') return IGNORED;
    const { push } = opened;
    const lost = this.deliveries.take(push);
    if (lost === undefined) return IGNORED;
    const missed = lost > 0 && { missed: lost };
    const everywhere = push.overflow || push.maybeMissed || push.check;
    const news = newsInPush(this.crypto, push, this.subscriptions);
    if (news.length > 0) return { kind: 'messages', news, ...(everywhere && { everywhere }), ...missed };
    return everywhere ? { kind: 'check', ...missed } : IGNORED;
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
  private async opened<T>(open: (secret: Uint8Array | undefined) => T): Promise<T> {
    try {
      return open(this.registration.device?.registered?.dhSecret);
    } catch (error) {
      if (!(error instanceof PushError) || error.reason !== 'forged') throw error;
      await this.turn;
      return open(this.registration.device?.registered?.dhSecret);
    }
  }

  private inTurn<T>(run: () => Promise<T>): Promise<T> {
    const result = this.turn.then(run);
    this.turn = result.catch(() => {});
    return result;
  }
}
