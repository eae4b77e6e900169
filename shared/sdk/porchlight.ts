/**
 * Opens pushes of profile `porchlight` (shared/push/README.md): a code, or entries and flags. What is not boxed is no
 * push of this profile, and text meant for the screen is never looked at.
 */
import { unpad } from '../crypto/box.js';
import type { Bytes } from '../encoding/bytes.js';
import { DecodeError } from '../encoding/reader.js';
import { NONCE_SIZE } from '../ntf/payload.js';
import { messageKey, verificationKey } from '../push/keys.js';
import { decodePush, type PorchlightPush } from '../push/porchlight-profile.js';
import type { SdkCrypto } from './nacl.js';
import { bytesOf, codeIn, field, PushError, parsePayload } from './open.js';

export type OpenedPorchlightPush =
  /** The registration code, 32 bytes. */
  | { readonly kind: 'verification'; readonly code: Uint8Array }
  | { readonly kind: 'push'; readonly push: PorchlightPush }
  /** Nothing boxed in it. */
  | { readonly kind: 'ignored' };

/**
 * Throws `PushError`: `forged` where the box doesn't open, `malformed` for its content, `not-a-push` for text that is
 * no JSON. Parameters as of `openPush`.
 */
export function openPorchlightPush(
  crypto: SdkCrypto,
  dhSecret: Bytes | undefined,
  payload: unknown,
): OpenedPorchlightPush {
  const data = field(parsePayload(payload), 'porchlight');
  const nonce = bytesOf(field(data, 'nonce'));
  const verification = bytesOf(field(data, 'verification'));
  const box = verification ?? bytesOf(field(data, 'message'));
  if (nonce?.length !== NONCE_SIZE || box === undefined) return { kind: 'ignored' };
  const keyOf = verification ? verificationKey : messageKey;
  const plaintext = dhSecret && crypto.secretboxOpen(keyOf(crypto, dhSecret), nonce, box);
  if (plaintext === undefined) throw new PushError('forged');
  if (!verification) return { kind: 'push', push: pushIn(plaintext) };
  const code = unpad(plaintext);
  if (code === undefined) throw new PushError('malformed');
  return { kind: 'verification', code: codeIn(code) };
}

function pushIn(plaintext: Uint8Array): PorchlightPush {
  try {
    return decodePush(plaintext);
  } catch (error) {
    if (error instanceof DecodeError) throw new PushError('malformed');
    throw error;
  }
}
