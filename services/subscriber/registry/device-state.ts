/** A registration as it crosses to a successor (handover/README.md). Times are monotonic milliseconds. Pure. */
import { fromUtf8 } from '../../../shared/encoding/bytes.js';
import type { AuthAlgorithm, Key } from '../../../shared/encoding/keys.js';
import { DecodeError, type Reader } from '../../../shared/encoding/reader.js';
import type { Writer } from '../../../shared/encoding/writer.js';
import { SEALED_TOKEN_SIZE } from '../../../shared/relay/sealed-token.js';
import type { DeviceEnvironment, InvalidReason, TokenStatus } from './device.js';

export const TOKEN_ID_SIZE = 24;
export const TOKEN_HASH_SIZE = 32;
export const DH_SIZE = 32;

export interface DeviceState {
  readonly slot: number;
  readonly listener: string;
  readonly environment: DeviceEnvironment;
  readonly status: TokenStatus;
  readonly invalidReason: InvalidReason | undefined;
  readonly generation: number;
  readonly checkMinutes: number;
  readonly isProven: boolean;
  readonly serversSince: number;
  readonly newServers: number;
  /** When it lapses. */
  readonly dueAt: number;
  readonly tokenId: Uint8Array;
  readonly tokenHash: Uint8Array;
  readonly serverDhPublicKey: Uint8Array;
  readonly dhSecret: Uint8Array;
  readonly verifyKey: Key<AuthAlgorithm>;
  readonly sealedToken: Uint8Array | undefined;
}

const ENVIRONMENTS = [
  'production',
  'sandbox',
  'test',
  'none',
] as const satisfies readonly DeviceEnvironment[];
const STATUSES = ['registered', 'confirmed', 'active', 'invalid'] as const satisfies readonly TokenStatus[];
const REASONS = ['bad', 'topic', 'expired', 'unregistered'] as const satisfies readonly InvalidReason[];
const ALGORITHMS = ['ed25519', 'ed448', 'x25519'] as const satisfies readonly AuthAlgorithm[];
const KEY_SIZES: Readonly<Record<AuthAlgorithm, number>> = { ed25519: 32, ed448: 57, x25519: 32 };

export function writeDevice(w: Writer, state: DeviceState): void {
  w.u32(state.slot).u8(state.listener.length).text(state.listener);
  w.u8(ENVIRONMENTS.indexOf(state.environment)).u8(STATUSES.indexOf(state.status));
  w.maybe(state.invalidReason, (reason) => w.u8(REASONS.indexOf(reason)));
  w.u32(state.generation).u32(state.checkMinutes).bool(state.isProven);
  w.f64(state.serversSince).u32(state.newServers).f64(state.dueAt);
  w.bytes(state.tokenId).bytes(state.tokenHash).bytes(state.serverDhPublicKey).bytes(state.dhSecret);
  w.u8(ALGORITHMS.indexOf(state.verifyKey.algorithm)).bytes(state.verifyKey.raw);
  w.maybe(state.sealedToken, (token) => w.bytes(token));
}

/** Byte fields are views. Throws `DecodeError`. */
export function readDevice(r: Reader): DeviceState {
  const [slot, listener] = [r.u32(), readName(r)];
  const [environment, status] = [oneOf(ENVIRONMENTS, r), oneOf(STATUSES, r)];
  const invalidReason = r.maybe(() => oneOf(REASONS, r));
  const [generation, checkMinutes, isProven] = [r.u32(), r.u32(), r.bool()];
  const [serversSince, newServers, dueAt] = [r.f64(), r.u32(), r.f64()];
  const [tokenId, tokenHash] = [r.take(TOKEN_ID_SIZE), r.take(TOKEN_HASH_SIZE)];
  const [serverDhPublicKey, dhSecret] = [r.take(DH_SIZE), r.take(DH_SIZE)];
  const algorithm = oneOf(ALGORITHMS, r);
  const verifyKey = { algorithm, raw: r.take(KEY_SIZES[algorithm]) };
  const sealedToken = r.maybe(() => r.take(SEALED_TOKEN_SIZE));
  return {
    ...{ slot, listener, environment, status, invalidReason, generation, checkMinutes, isProven },
    ...{ serversSince, newServers, dueAt, tokenId, tokenHash, serverDhPublicKey, dhSecret },
    ...{ verifyKey, sealedToken },
  };
}

function oneOf<T>(values: readonly T[], r: Reader): T {
  const value = values[r.u8()];
  if (value === undefined) throw new DecodeError('unknown word');
  return value;
}

function readName(r: Reader): string {
  try {
    return fromUtf8(r.shortString());
  } catch (error) {
    throw error instanceof TypeError ? new DecodeError('not a name') : error;
  }
}
