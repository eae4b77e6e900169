/**
 * What friend and phone agreed on when they met: a NaCl box, standing for the messenger's own end-to-end encryption,
 * which is none of Porchlight's business. Nobody between them can open it.
 */
import nacl from 'tweetnacl';
import { concat, fromUtf8, utf8 } from '../../shared/encoding/bytes.js';

export interface Letter {
  /** When it was written, Unix milliseconds. */
  readonly sentAt: number;
  readonly number: number;
  readonly text: string;
}

const NONCE = nacl.box.nonceLength;
const KEY = nacl.box.publicKeyLength;

/** sender's key ‖ nonce ‖ box */
export function sealLetter(letter: Letter, phoneKey: Uint8Array): Uint8Array {
  const sender = nacl.box.keyPair();
  const nonce = nacl.randomBytes(NONCE);
  const box = nacl.box(utf8(JSON.stringify(letter)), nonce, phoneKey, sender.secretKey);
  return concat(sender.publicKey, nonce, box);
}

/** Undefined where it is not for this phone. */
export function openLetter(bytes: Uint8Array, secretKey: Uint8Array): Letter | undefined {
  if (bytes.length < KEY + NONCE) return undefined;
  const box = bytes.slice(KEY + NONCE);
  const plain = nacl.box.open(box, bytes.slice(KEY, KEY + NONCE), bytes.slice(0, KEY), secretKey);
  return plain === null ? undefined : (JSON.parse(fromUtf8(plain)) as Letter);
}
