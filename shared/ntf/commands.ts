/**
 * NTF commands, both directions (guide H.2). Decoding returns views into the block: a device token or a notifier
 * key is overwritten together with the block that brought it, and never becomes a string.
 */
import type { Bytes } from '../encoding/bytes.js';
import { latin1 } from '../encoding/bytes.js';
import {
  type AuthAlgorithm,
  decodePrivateKey,
  decodePublicKey,
  encodePrivateKey,
  encodePublicKey,
  type Key,
  ofAlgorithm,
} from '../encoding/keys.js';
import { DecodeError, Reader } from '../encoding/reader.js';
import { Writer } from '../encoding/writer.js';
import { readQueue, type SmpQueue, writeQueue } from '../smp/address.js';
import { PROVIDERS, type Provider } from './constants.js';

/** A device token as clients send it: Apple's is lower-case hex text; nothing here checks that. */
export interface DeviceToken {
  readonly provider: Provider;
  /** The text's bytes, 0 to 255. Secret. */
  readonly text: Uint8Array;
}

export interface TokenNew {
  readonly word: 'TNEW';
  readonly token: DeviceToken;
  /** Authorises all later commands of the token. */
  readonly verifyKey: Key<AuthAlgorithm>;
  /** The client's raw X25519 key (32). */
  readonly dhKey: Uint8Array;
}

export interface SubscriptionNew {
  readonly word: 'SNEW';
  readonly tokenId: Uint8Array;
  readonly queue: SmpQueue;
  /** Private. Secret. */
  readonly notifierKey: Key<AuthAlgorithm>;
}

export type NtfCommand =
  | TokenNew
  | { readonly word: 'TVFY'; readonly code: Uint8Array }
  | { readonly word: 'TRPL'; readonly token: DeviceToken }
  | { readonly word: 'TCRN'; readonly minutes: number }
  | SubscriptionNew
  | { readonly word: 'TCHK' | 'TDEL' | 'SCHK' | 'SDEL' | 'PING' };

export type NtfCommandWord = NtfCommand['word'];

const SPACE = 0x20;
const AUTH_ALGORITHMS = ['ed25519', 'ed448', 'x25519'] as const;

const readAuthPublicKey = (r: Reader): Key<AuthAlgorithm> =>
  ofAlgorithm(decodePublicKey(r.shortString()), ...AUTH_ALGORITHMS);

function readDeviceToken(r: Reader): DeviceToken {
  const code = latin1(r.take(2));
  const provider = PROVIDERS.find((known) => known === code);
  if (provider === undefined) throw new DecodeError('unknown push provider');
  return { provider, text: r.shortString() };
}

function readTokenNew(r: Reader): TokenNew {
  r.expect('T');
  const token = readDeviceToken(r);
  const verifyKey = readAuthPublicKey(r);
  const dhKey = ofAlgorithm(decodePublicKey(r.shortString()), 'x25519').raw;
  return { word: 'TNEW', token, verifyKey, dhKey };
}

function readSubscriptionNew(r: Reader): SubscriptionNew {
  r.expect('S');
  const tokenId = r.shortString();
  const queue = readQueue(r);
  const notifierKey = ofAlgorithm(decodePrivateKey(r.shortString()), ...AUTH_ALGORITHMS);
  return { word: 'SNEW', tokenId, queue, notifierKey };
}

/** Parameters of each command, behind the word and its space; absent = the command has none. */
const PARAMETERS: Readonly<Record<NtfCommandWord, ((r: Reader) => NtfCommand) | undefined>> = {
  TNEW: readTokenNew,
  TVFY: (r) => ({ word: 'TVFY', code: r.shortString() }),
  TCHK: undefined,
  TRPL: (r) => ({ word: 'TRPL', token: readDeviceToken(r) }),
  TDEL: undefined,
  TCRN: (r) => ({ word: 'TCRN', minutes: r.u16() }),
  SNEW: readSubscriptionNew,
  SCHK: undefined,
  SDEL: undefined,
  PING: undefined,
};

/** Longest word; more bytes before the first space are no command. */
const WORD_SIZE = 4;

/**
 * The command in `bytes`; undefined where its word is unknown (`CMD UNKNOWN`). Throws `DecodeError` where the
 * parameters don't parse (`CMD SYNTAX`). Byte fields are views into `bytes`.
 */
export function decodeCommand(bytes: Bytes): NtfCommand | undefined {
  const space = bytes.indexOf(SPACE);
  const end = space < 0 ? bytes.length : space;
  const text = end === WORD_SIZE ? latin1(bytes.subarray(0, end)) : '';
  if (!Object.hasOwn(PARAMETERS, text)) return undefined;
  const word = text as NtfCommandWord;
  const parameters = PARAMETERS[word];
  if (parameters === undefined) {
    if (bytes.length > end) throw new DecodeError('trailing bytes');
    return { word } as NtfCommand;
  }
  if (space < 0) throw new DecodeError('no parameters');
  const reader = new Reader(bytes.subarray(space + 1));
  const command = parameters(reader);
  reader.end();
  return command;
}

/**
 * What is wrong with the credentials of a command (guide H.2): TNEW and SNEW need authorisation and no entity,
 * PING neither, all others both.
 */
export function credentialsProblem(
  word: NtfCommandWord,
  given: { readonly auth: boolean; readonly entity: boolean },
): 'NO_AUTH' | 'HAS_AUTH' | undefined {
  if (word === 'PING') return given.auth || given.entity ? 'HAS_AUTH' : undefined;
  if (!given.auth) return 'NO_AUTH';
  if (word === 'TNEW' || word === 'SNEW') return given.entity ? 'HAS_AUTH' : undefined;
  return given.entity ? undefined : 'NO_AUTH';
}

const writeDeviceToken = (w: Writer, token: DeviceToken): Writer =>
  w.text(token.provider).shortString(token.text);

/** Throws `RangeError` where a field is longer than its length byte can say. */
export function encodeCommand(command: NtfCommand): Uint8Array {
  const w = new Writer(320).text(command.word);
  switch (command.word) {
    case 'TNEW':
      writeDeviceToken(w.text(' T'), command.token).shortString(encodePublicKey(command.verifyKey));
      w.shortString(encodePublicKey({ algorithm: 'x25519', raw: command.dhKey }));
      break;
    case 'TVFY':
      w.text(' ').shortString(command.code);
      break;
    case 'TRPL':
      writeDeviceToken(w.text(' '), command.token);
      break;
    case 'TCRN':
      w.text(' ').u16(command.minutes);
      break;
    case 'SNEW':
      writeQueue(w.text(' S').shortString(command.tokenId), command.queue);
      w.shortString(encodePrivateKey(command.notifierKey));
      break;
  }
  return w.done();
}
