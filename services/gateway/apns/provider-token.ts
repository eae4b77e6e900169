/**
 * The token by which a provider shows Apple who it is: a JWT over ES256 (apns.md §6). `iat` is quantised to
 * 40-minute slots, so that all replicas change together, it is never in the future and never an hour old, and no
 * connection sees two tokens within 20 minutes. Signing is synchronous, which makes it single flight.
 */
import { type KeyObject, sign } from 'node:crypto';
import { toBase64urlBare } from '../../../shared/encoding/base64url.js';
import { utf8 } from '../../../shared/encoding/bytes.js';
import { type Clock, seconds } from '../../../shared/run/clock.js';

export const SLOT_SECONDS = 40 * 60;
/** Apple's shortest time between two tokens on a connection. */
export const MIN_CHANGE_SECONDS = 20 * 60;
/** Apple refuses tokens older than an hour; two minutes are left for clocks that differ. */
export const MAX_AGE_SECONDS = 58 * 60;

export interface ProviderToken {
  /** The whole header value. */
  readonly authorization: string;
  /** `iat`, Unix seconds. */
  readonly issuedAt: number;
}

export interface ProviderKey {
  readonly keyId: string;
  readonly teamId: string;
  readonly privateKey: () => KeyObject;
}

export class ProviderTokens {
  private readonly key: ProviderKey;
  private readonly clock: Clock;
  private readonly onSign: () => void;
  private token: ProviderToken | undefined;
  private signedWith: KeyObject | undefined;
  /** Until when a token made outside the slots is used, and no other may be made. */
  private renewedUntil = 0;
  private frozenUntil = 0;

  constructor(key: ProviderKey, clock: Clock, onSign: () => void = () => {}) {
    this.key = key;
    this.clock = clock;
    this.onSign = onSign;
  }

  /** The token for new connections now. */
  current(): ProviderToken {
    const now = seconds(this.clock);
    const { token } = this;
    if (token && this.isHeld(now) && isFresh(token, now)) return token;
    const slot = now - (now % SLOT_SECONDS);
    if (token?.issuedAt === slot) return token;
    return this.make(slot);
  }

  /**
   * Apple refused `rejected`: makes a token of this very moment, for use on new connections. False where that was
   * done a short time ago (the fault is the key or the clock) or Apple has complained of too many.
   */
  renew(rejected: ProviderToken): boolean {
    const now = seconds(this.clock);
    // Another was made meanwhile, or will be: the key has been replaced.
    if (this.token !== rejected) return true;
    if (now < this.frozenUntil || this.isHeld(now)) return this.takeNewKey();
    this.renewedUntil = now + SLOT_SECONDS;
    this.make(now);
    return true;
  }

  /** Whether the key is another than the token was signed with; that token is then forgotten. */
  takeNewKey(): boolean {
    if (this.token === undefined || this.signedWith?.equals(this.key.privateKey())) return false;
    this.token = undefined;
    this.renewedUntil = 0;
    return true;
  }

  /** Apple said that tokens change too often: the present one stays for 20 minutes, if its age allows. */
  freeze(): void {
    this.frozenUntil = seconds(this.clock) + MIN_CHANGE_SECONDS;
  }

  /** Whether the present token outlives its slot; a clock that was set back ends that. */
  private isHeld(now: number): boolean {
    const until = Math.max(this.renewedUntil, this.frozenUntil);
    return now < until && now > until - 2 * SLOT_SECONDS;
  }

  private make(issuedAt: number): ProviderToken {
    const privateKey = this.key.privateKey();
    const signed = signToken({ ...this.key, privateKey: () => privateKey }, issuedAt);
    const token = { authorization: `bearer ${signed}`, issuedAt };
    this.token = token;
    this.signedWith = privateKey;
    this.onSign();
    return token;
  }
}

/**
 * The token that one connection uses. It changes 20 minutes after its first use at the earliest, whatever the slots
 * say; a connection whose token grows too old before that gives way to a new one.
 */
export class TokenLease {
  private readonly tokens: ProviderTokens;
  private readonly clock: Clock;
  private held: ProviderToken;
  private since: number;

  constructor(tokens: ProviderTokens, clock: Clock) {
    this.tokens = tokens;
    this.clock = clock;
    this.held = tokens.current();
    this.since = seconds(clock);
  }

  get token(): ProviderToken {
    return this.held;
  }

  /** The token to send now; undefined where the connection must be replaced first. */
  now(): ProviderToken | undefined {
    const now = seconds(this.clock);
    const age = now - this.held.issuedAt;
    if (age >= 0 && age < SLOT_SECONDS) return this.held;
    const mayChange = now - this.since >= MIN_CHANGE_SECONDS;
    if (!mayChange) return isFresh(this.held, now) ? this.held : undefined;
    const next = this.tokens.current();
    if (next !== this.held) this.since = now;
    this.held = next;
    return isFresh(next, now) ? next : undefined;
  }
}

const isFresh = (token: ProviderToken, now: number): boolean =>
  token.issuedAt <= now && now - token.issuedAt < MAX_AGE_SECONDS;

/** The compact JWT; the signature is the 64 bytes r ‖ s of JOSE, not DER. */
export function signToken(key: ProviderKey, issuedAt: number): string {
  const part = (value: object): string => toBase64urlBare(utf8(JSON.stringify(value)));
  const header = part({ alg: 'ES256', kid: key.keyId });
  const input = `${header}.${part({ iss: key.teamId, iat: issuedAt })}`;
  const signature = sign('sha256', utf8(input), { key: key.privateKey(), dsaEncoding: 'ieee-p1363' });
  return `${input}.${toBase64urlBare(signature)}`;
}
