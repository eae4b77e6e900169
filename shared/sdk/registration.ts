/**
 * Carries a registration through (guide I.2): sends what `device.ts` says comes next and acts on the answers.
 * Keys are kept before they are used, so that a lost answer costs nothing but a repetition.
 */
import { CryptoError } from '../crypto/crypto.js';
import { sameBytes } from '../encoding/bytes.js';
import type { DeviceToken, NtfCommand } from '../ntf/commands.js';
import { MIN_CHECK_MINUTES } from '../ntf/constants.js';
import type { NtfResponse } from '../ntf/responses.js';
import type { Connection } from './connection.js';
import {
  checked,
  type Device,
  newDevice,
  type PendingAction,
  registered,
  registrationStep,
  replaced,
  verified,
  withPending,
} from './device.js';
import type { SdkCrypto } from './nacl.js';
import { NtfConnectionError } from './transport.js';

/** The server answered a command with an error; `code` is its word (guide A.7). */
export class NtfRefusal extends Error {
  override readonly name = 'NtfRefusal';
  readonly code: string;

  constructor(response: NtfResponse) {
    const code = response.word === 'ERR' ? response.error.kind : 'UNEXPECTED';
    super(code);
    this.code = code;
  }
}

export interface RegistrationOptions {
  readonly connection: Connection;
  readonly crypto: SdkCrypto;
  readonly saved?: Device | undefined;
  /** The server knows a registration that has no subscriptions yet; whether it has another secret than the last. */
  readonly onNew: (hasNewSecret: boolean) => void;
}

export class Registration {
  private readonly options: RegistrationOptions;
  private current: Device | undefined;

  constructor(options: RegistrationOptions) {
    this.options = options;
    this.current = options.saved;
  }

  get device(): Device | undefined {
    return this.current;
  }

  /** The app has started and the system gave it this token. Rejects with `NtfConnectionError` or `NtfRefusal`. */
  async begin(token: DeviceToken): Promise<void> {
    const device = this.current ?? newDevice(this.options.crypto, token);
    const step = registrationStep(device, token);
    if (step.kind === 'register') await this.announce({ ...device, token });
    else if (step.kind === 'replace') await this.replace(device, token);
    else await this.resume(device, step);
  }

  /**
   * A code came back to us. Whether the server took it; if not, the phone has registered anew (guide I.2). Only for
   * a registration that was begun here and waits for it (design §4.3): else undefined, and nothing is sent.
   */
  async answer(code: Uint8Array): Promise<boolean | undefined> {
    if (!this.current?.waiting) return undefined;
    await this.resume(this.current, { kind: 'verify', code });
    return this.current.status === 'ACTIVE';
  }

  /** Finishes what is pending, or asks where the registration stands; makes a new one where the server has none. */
  async check(): Promise<void> {
    const device = this.current;
    if (device?.registered) await this.resume(device, device.pending ?? { kind: 'check' });
  }

  /** Forgets the registration here, then at the server. */
  async end(): Promise<void> {
    const device = this.current;
    this.current = undefined;
    if (device?.registered) await this.ask(device, { word: 'TDEL' });
  }

  private async announce(device: Device): Promise<void> {
    this.current = device;
    const { token, authKey, dhKey } = device;
    const verifyKey = { algorithm: 'ed25519', raw: authKey.publicKey } as const;
    const command = { word: 'TNEW', token, verifyKey, dhKey: dhKey.publicKey } as const;
    const [answer] = await this.options.connection.request([{ command, key: authKey.privateKey }]);
    if (answer?.word !== 'IDTKN') throw new NtfRefusal(answer!);
    try {
      this.current = registered(this.options.crypto, device, answer);
    } catch (error) {
      throw error instanceof CryptoError ? new NtfConnectionError('protocol') : error;
    }
    const known = device.registered;
    if (known && sameBytes(known.tokenId, answer.tokenId)) return;
    this.options.onNew(!known || !sameBytes(known.dhSecret, this.current.registered!.dhSecret));
  }

  private announceAnew(token: DeviceToken): Promise<void> {
    return this.announce(newDevice(this.options.crypto, token));
  }

  private async replace(device: Device, token: DeviceToken): Promise<void> {
    const answer = await this.ask(device, { word: 'TRPL', token });
    if (answer.word === 'OK') this.current = replaced(device, token);
    else await this.announceAnew(token);
  }

  private async resume(before: Device, action: PendingAction): Promise<void> {
    const device = withPending(before, action);
    this.current = device;
    if (action.kind === 'verify') await this.verify(device, action.code);
    else await this.checkStatus(device);
    if (this.current.status === 'ACTIVE') await this.wantChecks(this.current);
  }

  private async verify(device: Device, code: Uint8Array): Promise<void> {
    const answer = await this.ask(device, { word: 'TVFY', code });
    if (answer.word === 'OK') this.current = verified(device);
    else await this.forgottenOr(device, answer);
  }

  private async checkStatus(device: Device): Promise<void> {
    const answer = await this.ask(device, { word: 'TCHK' });
    if (answer.word !== 'TKN') return this.forgottenOr(device, answer);
    this.current = checked(device, answer.status);
    const { status, waiting } = this.current;
    const broken = status === 'INVALID' || status === 'EXPIRED' || !waiting;
    if (status !== 'ACTIVE' && broken) await this.announce(this.current);
  }

  /** AUTH: the server doesn't know us or the code; then everything starts over, with new keys. */
  private async forgottenOr(device: Device, answer: NtfResponse): Promise<void> {
    if (answer.word === 'ERR' && answer.error.kind === 'AUTH') return this.announceAnew(device.token);
    const { pending: _, ...rest } = device;
    this.current = rest;
    throw new NtfRefusal(answer);
  }

  /** Periodic checks, as stock clients always ask for; what the server says to it changes nothing. */
  private async wantChecks(device: Device): Promise<void> {
    try {
      await this.ask(device, { word: 'TCRN', minutes: MIN_CHECK_MINUTES });
    } catch (error) {
      if (!(error instanceof NtfConnectionError)) throw error;
    }
  }

  private async ask(device: Device, command: NtfCommand): Promise<NtfResponse> {
    const entityId = device.registered!.tokenId;
    const key = device.authKey.privateKey;
    const [answer] = await this.options.connection.request([{ command, entityId, key }]);
    return answer!;
  }
}
