/**
 * What each NTF command does (guide H.4, H.5): no sockets, no bytes of the wire. Authorisation has been checked
 * before; devices and subscriptions are looked up again here, since an earlier command of the same block may have
 * removed them. A reply of `undefined` closes the connection: to stock clients an error is final, silence is not.
 */
import { type Crypto, CryptoError } from '../../../shared/crypto/crypto.js';
import { sameBytes, utf8, wipe } from '../../../shared/encoding/bytes.js';
import type { AuthAlgorithm, Key } from '../../../shared/encoding/keys.js';
import type { NtfCommand, SubscriptionNew, TokenNew } from '../../../shared/ntf/commands.js';
import { CODE_SIZE, MIN_CHECK_MINUTES } from '../../../shared/ntf/constants.js';
import type { NtfResponse, NtfSubscriptionStatus, NtfTokenStatus } from '../../../shared/ntf/responses.js';
import type { SmpQueue } from '../../../shared/smp/address.js';
import type { ErrorType } from '../../../shared/smp/errors.js';
import type { Device } from '../registry/device.js';
import type { DeviceRegistry, Subscription, SubscriptionRegistry } from '../registry/registry.js';
import type { FollowStatus } from '../sources/source.js';
import type { WakeEngine } from '../wake/wake.js';
import type { SealRefusal, TokenSealer } from './token-sealing.js';

export type Devices = DeviceRegistry & SubscriptionRegistry<SmpQueue, Key<AuthAlgorithm>>;

export interface HandlerOptions {
  /** Name of the listener: devices of other listeners are unknown here. */
  readonly listener: string;
  readonly crypto: Crypto;
  readonly devices: Devices;
  readonly wake: Pick<WakeEngine, 'verify' | 'giveUp' | 'prove' | 'checksChanged'>;
  readonly sealer: TokenSealer;
  /** 32 bytes, random per process: the servers' halves of the DH secrets are drawn from it. */
  readonly processKey: Uint8Array;
}

/** `undefined`: no reply, the connection is closed. */
export type Reply = NtfResponse | undefined;

export const errorReply = (error: ErrorType): NtfResponse => ({ word: 'ERR', error });
const OK: NtfResponse = { word: 'OK' };
const AUTH = errorReply({ kind: 'AUTH' });
const QUOTA = errorReply({ kind: 'QUOTA' });
const PROHIBITED = errorReply({ kind: 'CMD', reason: 'PROHIBITED' });
const SYNTAX = errorReply({ kind: 'CMD', reason: 'SYNTAX' });

export class Handlers {
  private readonly options: HandlerOptions;
  private readonly dhKey: Uint8Array;

  constructor(options: HandlerOptions) {
    this.options = options;
    this.dhKey = options.crypto.hmacSha256(options.processKey, utf8(`ntf dh ${options.listener}`));
  }

  /** The device with this token id, if it registered at this listener. */
  device(tokenId: Uint8Array): Device | undefined {
    const device = this.options.devices.deviceById(tokenId);
    return device?.listener === this.options.listener ? device : undefined;
  }

  subscription(id: Uint8Array): Subscription | undefined {
    const subscription = this.options.devices.subscriptionById(id);
    return subscription?.device.listener === this.options.listener ? subscription : undefined;
  }

  /** Runs an authorised command. @param entityId the transmission's: a token id or a subscription id */
  run(command: NtfCommand, entityId: Uint8Array): Reply | Promise<Reply> {
    switch (command.word) {
      case 'PING':
        return { word: 'PONG' };
      case 'TNEW':
        return this.tokenNew(command);
      case 'SNEW':
        return this.subscriptionNew(command);
      case 'SCHK':
      case 'SDEL':
        return this.subscriptionCommand(command.word, entityId);
      default:
        return this.tokenCommand(command, entityId);
    }
  }

  private tokenCommand(command: NtfCommand, tokenId: Uint8Array): Reply | Promise<Reply> {
    const device = this.device(tokenId);
    if (device === undefined) return AUTH;
    this.options.devices.touch(device);
    switch (command.word) {
      case 'TVFY':
        return this.verify(device, command.code);
      case 'TCHK':
        return { word: 'TKN', status: tokenStatus(device) };
      case 'TRPL':
        return this.replace(device, command.token);
      case 'TDEL':
        this.options.wake.giveUp(device);
        this.options.devices.remove(device);
        return OK;
      case 'TCRN':
        return this.setChecks(device, command.minutes);
      default:
        return AUTH;
    }
  }

  /**
   * Idempotent (guide H.4): the same token, key and client DH key get the same id and server key, and one more
   * verification push; another client DH key is refused.
   */
  private tokenNew(command: TokenNew): Reply {
    const token = this.options.sealer.seal(command.token);
    if ('refused' in token) return sealRefusal(token);
    const { listener, devices, wake } = this.options;
    const dh = this.dhPair(command);
    if (dh === undefined) return AUTH;
    try {
      const known = devices.deviceByRegistration(listener, token.tokenHash, command.verifyKey.raw);
      if (known && !sameBytes(known.serverDhPublicKey, dh.serverDhPublicKey)) return AUTH;
      if (known && token.sealedToken) devices.resealToken(known, token.sealedToken);
      const device = known ?? devices.register({ listener, ...token, verifyKey: command.verifyKey, ...dh });
      if (device === undefined) return undefined; // no room now; an error would be final
      devices.touch(device);
      wake.verify(device);
      return { word: 'IDTKN', tokenId: device.tokenId, dhKey: device.serverDhPublicKey };
    } finally {
      wipe(dh.dhSecret);
    }
  }

  /**
   * Our key pair for this client and its secret; undefined for a key that leads to none. The private key is drawn
   * from the client's keys under a key of this process: a repeated TNEW leads to the same pair exactly if it brings
   * the same client DH key, and no private key has to be kept.
   */
  private dhPair(command: TokenNew): { serverDhPublicKey: Uint8Array; dhSecret: Uint8Array } | undefined {
    const { crypto } = this.options;
    const privateKey = crypto.hmacSha256(this.dhKey, command.dhKey, command.verifyKey.raw);
    try {
      const dhSecret = crypto.x25519(privateKey, command.dhKey);
      return { serverDhPublicKey: crypto.x25519PublicKey(privateKey), dhSecret };
    } catch (error) {
      if (error instanceof CryptoError) return undefined;
      throw error;
    } finally {
      wipe(privateKey);
    }
  }

  /** `ERR AUTH` makes a stock client throw its registration away, so it takes the gateway's word (design §4.1). */
  private async verify(device: Device, code: Uint8Array): Promise<Reply> {
    if (device.status === 'invalid' || code.length !== CODE_SIZE) return AUTH;
    const result = await this.options.wake.prove(device, code);
    if (result === 'unreachable') return undefined;
    return result === 'proven' ? OK : AUTH;
  }

  private replace(device: Device, text: Parameters<TokenSealer['seal']>[0]): Reply {
    const token = this.options.sealer.seal(text);
    if ('refused' in token) return sealRefusal(token);
    // Another registration has that token with the same key: the client starts anew with new keys (guide I.2).
    if (!this.options.devices.replaceToken(device, token)) return AUTH;
    this.options.wake.verify(device);
    return OK;
  }

  private setChecks(device: Device, minutes: number): Reply {
    if (minutes > 0 && minutes < MIN_CHECK_MINUTES) return QUOTA;
    this.options.devices.setCheckMinutes(device, minutes);
    this.options.wake.checksChanged(device);
    return OK;
  }

  private subscriptionNew(command: SubscriptionNew): Reply {
    const device = this.device(command.tokenId);
    if (device === undefined || !allowsSubscriptions(device)) return AUTH;
    this.options.devices.touch(device);
    const result = this.options.devices.subscribe(device, ownQueue(command.queue), command.notifierKey);
    if ('subscription' in result) return { word: 'IDSUB', subscriptionId: result.subscription.id };
    switch (result.refused) {
      case 'taken':
        return AUTH;
      case 'prohibited':
        return PROHIBITED;
      case 'servers':
      case 'full':
        return QUOTA;
    }
  }

  private subscriptionCommand(word: 'SCHK' | 'SDEL', id: Uint8Array): Reply {
    const subscription = this.subscription(id);
    if (subscription === undefined || !allowsSubscriptions(subscription.device)) return AUTH;
    this.options.devices.touch(subscription.device);
    if (word === 'SCHK') return { word: 'SUB', status: subscriptionStatus(subscription.status) };
    this.options.devices.unsubscribe(subscription);
    return OK;
  }
}

/** Subscription commands need a token that was verified (guide H.5). */
const allowsSubscriptions = ({ status }: Device): boolean => status === 'active' || status === 'invalid';

/** A copy: the command's own lies in a block that is overwritten. */
const ownQueue = ({ server, notifierId }: SmpQueue): SmpQueue => ({
  server: { ...server, keyHash: server.keyHash.slice() },
  notifierId: notifierId.slice(),
});

function sealRefusal({ refused }: SealRefusal): Reply {
  if (refused === 'not-ready') return undefined;
  return refused === 'prohibited' ? PROHIBITED : SYNTAX;
}

const TOKEN_STATUS = { registered: 'REGISTERED', confirmed: 'CONFIRMED', active: 'ACTIVE' } as const;
const INVALID_REASON = {
  bad: 'BAD',
  topic: 'TOPIC',
  expired: 'EXPIRED',
  unregistered: 'UNREGISTERED',
} as const;

function tokenStatus({ status, invalidReason }: Device): NtfTokenStatus {
  if (status !== 'invalid') return { kind: TOKEN_STATUS[status] };
  return { kind: 'INVALID', ...(invalidReason && { reason: INVALID_REASON[invalidReason] }) };
}

const SUBSCRIPTION_STATUS = {
  pending: 'PENDING',
  active: 'ACTIVE',
  inactive: 'INACTIVE',
  end: 'END',
  deleted: 'DELETED',
  auth: 'AUTH',
  service: 'SERVICE',
} as const;

const subscriptionStatus = (status: FollowStatus): NtfSubscriptionStatus =>
  status.kind === 'error' ? { kind: 'ERR', text: status.word } : { kind: SUBSCRIPTION_STATUS[status.kind] };
