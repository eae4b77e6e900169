/**
 * The part of a handshake that makes a session one of a service (guide C.3, C.4): a field in the client's hello and
 * a third message. A server that does not accept it is asked again without.
 */
import type { Crypto } from '../../../../shared/crypto/crypto.js';
import type { Clock } from '../../../../shared/run/clock.js';
import type { ServiceAuth } from '../../../../shared/smp/auth.js';
import { plainBlocks } from '../../../../shared/smp/block.js';
import {
  decodeServiceResponse,
  type SmpClientHello,
  signSessionKey,
} from '../../../../shared/smp/handshake.js';
import type { ServiceIdentity } from './service-identity.js';

/** Shorter than an attempt to connect, so that time is left to ask without the service. */
const RESPONSE_MS = 15_000;

/** A session as a service: its id at this server, and what signs its commands. */
export interface ServiceLink {
  readonly id: Uint8Array;
  readonly auth: ServiceAuth;
}

/** The server did not take the certificate, whatever it said or did not say. */
export class ServiceRefusedError extends Error {
  override readonly name = 'ServiceRefusedError';
}

export interface ServiceOffer {
  readonly field: NonNullable<SmpClientHello['service']>;
  readonly auth: ServiceAuth;
}

/** The hello's field, with a session key of this connection's own. */
export function offerService(crypto: Crypto, { chain, signingKey, certHash }: ServiceIdentity): ServiceOffer {
  const { publicKey, privateKey } = crypto.ed25519KeyPair();
  const signedKey = signSessionKey(crypto, signingKey, publicKey, 'ed25519');
  return { field: { role: 'N', chain, signedKey }, auth: { certHash, sessionKey: privateKey } };
}

/**
 * The service's id at this server, once the third message has come. Rejects with `ServiceRefusedError`, or with
 * `read`'s error where the whole attempt has been given up.
 */
export async function readServiceId(
  read: (signal: AbortSignal) => Promise<Uint8Array>,
  clock: Clock,
  attempt: AbortSignal,
): Promise<Uint8Array> {
  const late = new AbortController();
  const timer = clock.after(RESPONSE_MS, () => late.abort());
  try {
    const block = await read(AbortSignal.any([attempt, late.signal]));
    const response = decodeServiceResponse(plainBlocks().open(block));
    if ('serviceId' in response) return response.serviceId.slice();
  } catch (error) {
    if (attempt.aborted) throw error;
  } finally {
    timer.cancel();
  }
  throw new ServiceRefusedError('certificate not accepted');
}
