/**
 * Issuing, proving and renewing capabilities (relay.md §3 to §5). The gateway stores nothing of them: everything
 * follows from the capability itself, the epoch keys and the clock. Tokens are overwritten once sealed or used.
 */

import type { Crypto } from '../../../shared/crypto/crypto.js';
import { type Bytes, concat, sameBytes, wipe } from '../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../shared/encoding/reader.js';
import { DEVICE_TAG_SIZE } from '../../../shared/relay/constants.js';
import { type Environment, environmentCode } from '../../../shared/relay/identity.js';
import type { ProblemCode } from '../../../shared/relay/problem.js';
import {
  openSealedToken,
  SEALED_TOKEN_LIFE_SECONDS,
  sealedTokenKeyId,
  type TokenFields,
} from '../../../shared/relay/sealed-token.js';
import {
  CAPABILITY_ID_SIZE,
  CODE_LIFE_SECONDS,
  codeSlot,
  makeCode,
  slotOf,
  slotStart,
} from '../../../shared/relay/verification.js';
import { type Clock, seconds } from '../../../shared/run/clock.js';
import type { Secret } from '../../../shared/run/secret.js';
import { isPathWord } from '../path-word.js';
import {
  type CapabilityFields,
  capabilityKeyId,
  type OpenCapability,
  openCapability,
  sealCapability,
} from './capability.js';
import { type Epochs, ISSUING_SECONDS, issuesAt, OPENING_SECONDS } from './epochs.js';
import type { Revocations } from './revocations.js';
import type { SealingKeys } from './sealing-keys.js';

const DAY_SECONDS = 24 * 3600;
export const PROVEN_LIFE_SECONDS = 45 * DAY_SECONDS;
export const UNPROVEN_LIFE_SECONDS = 3 * DAY_SECONDS;
/** Half of the days in which a key issues and opens: then a push answers with a renewed capability. */
const RENEW_SECONDS = (ISSUING_SECONDS + OPENING_SECONDS) / 2;
/** A phone's clock may be this far ahead. */
const EARLY_SECONDS = 3600;

/** Why a capability is not taken, in the words of the batch's answer. */
export type CapabilityRefusal = 'expired' | 'unknown-key' | 'revoked' | 'wrong-subscriber' | 'malformed';

export interface CapabilitiesOptions {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly epochs: Epochs;
  readonly sealingKeys: SealingKeys;
  /** Keys the device tags. */
  readonly tagKey: Secret;
  /** Whether an app is served in an environment. */
  readonly serves: (appTag: Bytes, environment: Environment) => boolean;
  readonly revocations: Pick<Revocations, 'isRevoked' | 'readable' | 'supersede'>;
  /** Whether a new proof ends what other subscribers proved before (relay.md §6, "Revoked"). */
  readonly hasOneSubscriber: (appTag: Bytes, environment: Environment) => boolean;
}

export class Capabilities {
  private readonly options: CapabilitiesOptions;

  constructor(options: CapabilitiesOptions) {
    this.options = options;
  }

  /** Sealed token → capability ‖ device tag, or why not. */
  exchange(sealed: Bytes, subscriberTag: Bytes): Uint8Array | ProblemCode {
    const fields = this.openToken(sealed);
    if (typeof fields === 'string') return fields;
    try {
      if (!this.acceptable(fields, subscriberTag)) return 'bad-sealed-token';
      return concat(this.issue(fields), this.deviceTag(fields));
    } finally {
      wipe(fields.token);
    }
  }

  /** Capability and code → a capability whose life starts with the code's slot. Asked again, it answers again. */
  prove(capability: Bytes, code: Bytes, subscriberTag: Bytes): Uint8Array | ProblemCode {
    const { hasOneSubscriber, revocations } = this.options;
    const open = this.openOwn(capability, subscriberTag);
    if (typeof open === 'string') return 'bad-capability';
    try {
      const slot = codeSlot(code);
      const isCode = this.isCode(open, code, slot);
      if (revocations.isRevoked(open, isCode ? slotStart(slot) : 0)) return 'bad-capability';
      if (!isCode) return 'bad-code';
      const provenAt = Math.max(open.provenAt, slotStart(slot));
      const proven = this.seal({ ...open, proven: true, provenAt, expires: provenAt + PROVEN_LIFE_SECONDS });
      if (hasOneSubscriber(open.appTag, open.environment)) revocations.supersede(open, slotStart(slot));
      return proven;
    } finally {
      wipe(open.plaintext);
    }
  }

  /** The same capability under today's key; its life stays what it was. Never one that another replica may have revoked. */
  renew(capability: Bytes, subscriberTag: Bytes): Uint8Array | ProblemCode {
    if (!this.options.revocations.readable) return 'unavailable';
    const open = this.open(capability, subscriberTag);
    if (typeof open === 'string') return 'bad-capability';
    try {
      return this.seal(open);
    } finally {
      wipe(open.plaintext);
    }
  }

  /** Opens for one request of the subscriber that signed it. The caller wipes `plaintext`. */
  open(capability: Bytes, subscriberTag: Bytes): OpenCapability | CapabilityRefusal {
    const open = this.openOwn(capability, subscriberTag);
    if (typeof open === 'string' || !this.options.revocations.isRevoked(open)) return open;
    wipe(open.plaintext);
    return 'revoked';
  }

  /** The same, also where it was revoked: to revoke it once more is no error. */
  openOwn(capability: Bytes, subscriberTag: Bytes): OpenCapability | CapabilityRefusal {
    let open: OpenCapability;
    try {
      const epoch = this.options.epochs.find(capabilityKeyId(capability));
      if (epoch === undefined) return 'unknown-key';
      open = openCapability(this.options.crypto, epoch, capability);
    } catch (error) {
      if (error instanceof DecodeError) return 'malformed';
      throw error;
    }
    const refused = this.refusal(open, subscriberTag);
    if (refused === undefined) return open;
    wipe(open.plaintext);
    return refused;
  }

  /** A renewed capability to send along, once the key of this one is past half its days and another issues. */
  renewal(open: OpenCapability): Uint8Array | undefined {
    const { clock, revocations } = this.options;
    if (seconds(clock) < open.epoch.start + RENEW_SECONDS || !revocations.readable) return undefined;
    return this.seal(open);
  }

  /** The code to put into a verification push now. */
  draw(open: CapabilityFields): Uint8Array {
    const { crypto, clock, epochs } = this.options;
    return makeCode(crypto, epochs.current().codeKey, open.id, slotOf(seconds(clock)));
  }

  private openToken(sealed: Bytes): TokenFields | ProblemCode {
    const { crypto, sealingKeys } = this.options;
    try {
      const privateKey = sealingKeys.privateKey(sealedTokenKeyId(sealed));
      if (privateKey === undefined) return 'unknown-sealing-key';
      return openSealedToken(crypto, privateKey, sealed) ?? 'bad-sealed-token';
    } catch (error) {
      if (error instanceof DecodeError) return 'bad-sealed-token';
      throw error;
    }
  }

  /** relay.md §3: fresh, for this signer, of an app that is served. */
  private acceptable(fields: TokenFields, subscriberTag: Bytes): boolean {
    const now = seconds(this.options.clock);
    const fresh =
      fields.createdAt > now - SEALED_TOKEN_LIFE_SECONDS && fields.createdAt <= now + EARLY_SECONDS;
    const ours = sameBytes(fields.subscriberTag, subscriberTag);
    const served = this.options.serves(fields.appTag, fields.environment);
    return fresh && ours && served && (fields.environment !== 'test' || isPathWord(fields.token));
  }

  private issue({ environment, appTag, subscriberTag, ownerKey, token }: TokenFields): Uint8Array {
    const now = seconds(this.options.clock);
    const fields = {
      proven: false,
      environment,
      appTag,
      subscriberTag,
      id: this.options.crypto.randomBytes(CAPABILITY_ID_SIZE),
      createdAt: now,
      provenAt: 0,
      expires: now + UNPROVEN_LIFE_SECONDS,
      ownerKey,
      token,
    };
    // Younger than whatever ended the device's registrations up to now.
    return this.seal(fields, now + 1);
  }

  /**
   * Issues now; a second ahead where the present one was ended already, for what leads here was not. Never at a time
   * at which the key does not issue.
   */
  private seal(fields: Omit<CapabilityFields, 'issued'>, issued = seconds(this.options.clock)): Uint8Array {
    const { crypto, epochs, revocations } = this.options;
    const epoch = epochs.current();
    const dated = revocations.isRevoked({ ...fields, issued }) ? issued + 1 : issued;
    const last = epoch.start + ISSUING_SECONDS - 1;
    return sealCapability(crypto, epoch, { ...fields, issued: Math.min(dated, last) });
  }

  /** HMAC(tag key, subscriberTag ‖ appTag ‖ environment ‖ token)[0..16]. */
  private deviceTag(fields: TokenFields): Uint8Array {
    const { crypto, tagKey } = this.options;
    const environment = Uint8Array.of(environmentCode(fields.environment));
    const parts = [fields.subscriberTag, fields.appTag, environment, fields.token];
    return crypto.hmacSha256(tagKey.bytes, ...parts).subarray(0, DEVICE_TAG_SIZE);
  }

  private refusal(open: OpenCapability, subscriberTag: Bytes): CapabilityRefusal | undefined {
    if (!issuesAt(open.epoch, open.issued)) return 'malformed';
    if (!sameBytes(open.subscriberTag, subscriberTag)) return 'wrong-subscriber';
    if (open.expires <= seconds(this.options.clock)) return 'expired';
    // The app was taken out of the configuration: registering again tells the client so.
    return this.options.serves(open.appTag, open.environment) ? undefined : 'unknown-key';
  }

  private isCode(open: OpenCapability, code: Bytes, slot: number): boolean {
    const { crypto, clock, epochs } = this.options;
    const now = seconds(clock);
    if (slot > slotOf(now) || slotStart(slot) < now - CODE_LIFE_SECONDS) return false;
    return epochs.ofSlot(slot).some((e) => crypto.equal(makeCode(crypto, e.codeKey, open.id, slot), code));
  }
}
