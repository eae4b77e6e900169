/**
 * `POST /v1/capabilities/revoke` (relay.md §6): a subscriber gives a capability up, or a phone's owner key ends all
 * that its token has, through any subscriber. Tokens are overwritten once their entry is made.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { type Bytes, wipe } from '../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../shared/encoding/reader.js';
import { CAPABILITY_SIZE } from '../../../shared/relay/batch.js';
import type { ProblemCode } from '../../../shared/relay/problem.js';
import {
  openSealedRevocation,
  SEALED_REVOCATION_SIZE,
  sealedRevocationKeyId,
} from '../../../shared/relay/revocation.js';
import { SEALED_TOKEN_LIFE_SECONDS, type TokenFields } from '../../../shared/relay/sealed-token.js';
import { type Clock, seconds } from '../../../shared/run/clock.js';
import type { OwnerRevocations } from '../limits/owner-revocations.js';
import type { Signer } from '../push/pusher.js';
import type { Capabilities, CapabilitiesOptions } from './capabilities.js';
import type { Revocations } from './revocations.js';
import type { SealingKeys } from './sealing-keys.js';

/**
 * A phone's clock may be this far ahead. Less than for sealed tokens: until then, whoever saw the revocation could
 * send it once more and so end what the phone registered since.
 */
const EARLY_SECONDS = 60;

/** Why nothing was revoked. */
export interface RevokeRefusal {
  readonly code: ProblemCode;
  readonly retryAfter?: number;
}

export interface RevokingOptions {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly capabilities: Capabilities;
  readonly sealingKeys: SealingKeys;
  readonly revocations: Revocations;
  readonly serves: CapabilitiesOptions['serves'];
  readonly allowance: OwnerRevocations;
}

export class Revoking {
  private readonly options: RevokingOptions;

  constructor(options: RevokingOptions) {
    this.options = options;
  }

  /** capability[256] or sealed revocation[293]; undefined once it is done and saved. Throws `DecodeError` for another size. */
  async revoke(body: Bytes, signer: Signer): Promise<RevokeRefusal | undefined> {
    if (body.length === CAPABILITY_SIZE) return this.byCapability(body, signer);
    if (body.length === SEALED_REVOCATION_SIZE) return this.byOwner(body, signer);
    throw new DecodeError('body size');
  }

  /** A capability that is over by itself, or under a destroyed key, is `bad-capability`: there is nothing left to end. */
  private async byCapability(body: Bytes, signer: Signer): Promise<RevokeRefusal | undefined> {
    const { capabilities, revocations } = this.options;
    const open = capabilities.openOwn(body, signer.tag);
    if (typeof open === 'string') return { code: 'bad-capability' };
    try {
      // What is hashed is hashed before the first wait.
      await revocations.endAtSubscriber(open);
      return undefined;
    } catch {
      return { code: 'unavailable' };
    } finally {
      wipe(open.plaintext);
    }
  }

  private async byOwner(body: Bytes, signer: Signer): Promise<RevokeRefusal | undefined> {
    const { revocations, allowance } = this.options;
    const fields = this.opened(body);
    if ('code' in fields) return fields;
    try {
      if (!this.acceptable(fields)) return { code: 'bad-sealed-token' };
      const retryAfter = allowance.take(signer.tagText);
      if (retryAfter > 0) return { code: 'rate', retryAfter };
      await revocations.endByOwner(fields, fields.createdAt);
      return undefined;
    } catch {
      return { code: 'unavailable' };
    } finally {
      wipe(fields.token);
    }
  }

  private opened(body: Bytes): TokenFields | RevokeRefusal {
    const { crypto, sealingKeys } = this.options;
    try {
      const privateKey = sealingKeys.privateKey(sealedRevocationKeyId(body));
      if (privateKey === undefined) return { code: 'unknown-sealing-key' };
      return openSealedRevocation(crypto, privateKey, body) ?? { code: 'bad-sealed-token' };
    } catch (error) {
      if (error instanceof DecodeError) return { code: 'bad-sealed-token' };
      throw error;
    }
  }

  private acceptable({ createdAt, appTag, environment }: TokenFields): boolean {
    const now = seconds(this.options.clock);
    const isFresh = createdAt > now - SEALED_TOKEN_LIFE_SECONDS && createdAt <= now + EARLY_SECONDS;
    return isFresh && this.options.serves(appTag, environment);
  }
}
