/**
 * SMP commands and answers, both directions, versions 6 to 20 (guide G, Appendix 2). Each word stands once, with the
 * layout of its parameters; types, encoders and decoders follow from the two tables. Byte fields are views.
 */
import { type Bytes, latin1 } from '../encoding/bytes.js';
import { Reader } from '../encoding/reader.js';
import { Writer } from '../encoding/writer.js';
import { IDS_HASH_SIZE, NONCE_SIZE, SINCE } from './constants.js';
import { type CommandErrorReason, decodeError, type ErrorType, encodeError } from './errors.js';
import {
  authKey,
  dhKey,
  type Field,
  type Fields,
  fixed,
  group,
  hasFields,
  i64,
  type Layout,
  letter,
  maybe,
  type Optional,
  readFields,
  shortFixed,
  shortString,
  since,
  tail,
  type Values,
  writeFields,
} from './fields.js';

/** Who may secure a queue: its sender (messaging), or only its owner (contact address). */
export type QueueMode = 'M' | 'C';
const modeLetter = letter('M', 'C');

/** In NEW a mode is followed by the queue's link, which no notifier or tool of ours uses: always absent. */
const modeWithoutLink: Field<QueueMode> = {
  read(r, version) {
    const mode = modeLetter.read(r, version);
    r.expect('0');
    return mode;
  },
  write: (w, mode) => void w.text(`${mode}0`),
};

/** From version 15 on an optional letter; from 9 to 14 a boolean that says the same, with false for C and for none. */
const queueMode = (field: Field<QueueMode>): Optional<QueueMode> => {
  const optional = maybe(field);
  const byVersion: Optional<QueueMode> = {
    optional: true,
    read(r, version) {
      if (version >= SINCE.queueMode) return optional.read(r, version);
      return r.bool() ? 'M' : undefined;
    },
    write(w, mode, version) {
      if (version >= SINCE.queueMode) optional.write(w, mode, version);
      else w.bool(mode === 'M');
    },
  };
  return since(SINCE.senderKey, byVersion);
};

/** Before version 9 the password stood behind an `A` or was missing. */
const password: Optional<Bytes> = {
  optional: true,
  read(r, version) {
    if (version >= SINCE.senderKey) return r.maybe(() => r.shortString());
    return r.accept('A') ? r.shortString() : undefined;
  },
  write(w, value, version) {
    if (version >= SINCE.senderKey) w.maybe(value, (text) => w.shortString(text));
    else if (value !== undefined) w.text('A').shortString(value);
  },
};

/** `T` or `F`, characters reserved for later, a space (guide G.2). */
const notificationFlag: Field<boolean> = {
  read(r) {
    const notify = r.bool();
    while (!r.accept(' ')) r.u8();
    return notify;
  },
  write: (w, notify) => void w.bool(notify).text(' '),
};

const errorType: Field<ErrorType> = {
  read: (r) => decodeError(r.tail()),
  write: (w, error, version) => void w.bytes(encodeError(error, version)),
};

const idsHash = since(SINCE.serviceHash, shortFixed(IDS_HASH_SIZE));

const COMMANDS = {
  NSUB: {},
  /** Count and hash of the queues that the client believes associated; before version 19 nothing. */
  NSUBS: { count: since(SINCE.serviceHash, i64), idsHash },
  PING: {},
  NEW: {
    recipientKey: authKey,
    dhKey,
    password,
    /** Subscribe at once, or only create. */
    subscribe: letter('S', 'C'),
    mode: queueMode(modeWithoutLink),
    notifier: since(SINCE.notifierInNew, maybe(group({ key: authKey, dhKey }))),
  },
  SUB: {},
  KEY: { senderKey: authKey },
  SKEY: { senderKey: authKey },
  NKEY: { notifierKey: authKey, dhKey },
  NDEL: {},
  SEND: { notify: notificationFlag, body: tail },
  ACK: { messageId: shortString },
  DEL: {},
} as const satisfies Record<string, Layout>;

const MESSAGES = {
  OK: {},
  SOK: { serviceId: maybe(shortString) },
  SOKS: { count: i64, idsHash },
  ERR: { error: errorType },
  PONG: {},
  NMSG: { nonce: fixed(NONCE_SIZE), metadata: shortString },
  END: {},
  DELD: {},
  ENDS: { count: i64, idsHash },
  IDS: {
    recipientId: shortString,
    senderId: shortString,
    dhKey,
    mode: queueMode(modeLetter),
    linkId: since(SINCE.queueMode, maybe(shortString)),
    serviceId: since(SINCE.services, maybe(shortString)),
    notifier: since(SINCE.notifierInNew, maybe(group({ id: shortString, dhKey }))),
  },
  NID: { notifierId: shortString, dhKey },
  MSG: { messageId: shortString, body: tail },
} as const satisfies Record<string, Layout>;

type UnionOf<T> = { [W in keyof T]: { readonly word: W } & Values<T[W]> }[keyof T];

/** What clients send. */
export type Command = UnionOf<typeof COMMANDS>;
/** What servers send. */
export type ServerMessage = UnionOf<typeof MESSAGES>;
export type CommandWord = Command['word'];

type Table = ReadonlyMap<string, Fields>;
const table = (layouts: Record<string, Layout>): Table =>
  new Map(Object.entries(layouts).map(([word, layout]) => [word, Object.entries(layout)]));

const COMMAND_TABLE = table(COMMANDS);
const MESSAGE_TABLE = table(MESSAGES);

const SPACE = 0x20;
/** Longest word; more bytes before the first space are none. */
const MAX_WORD = 5;

/** Throws `RangeError` where a value doesn't fit its field, or the version asks for one that is missing. */
export const encodeCommand = (command: Command, version: number): Uint8Array =>
  encode(COMMAND_TABLE, command, version);

/** Throws like `encodeCommand`. */
export const encodeServerMessage = (message: ServerMessage, version: number): Uint8Array =>
  encode(MESSAGE_TABLE, message, version);

/** The command; undefined where the word is unknown (`CMD UNKNOWN`). Throws `DecodeError` (`CMD SYNTAX`). */
export const decodeCommand = (bytes: Bytes, version: number): Command | undefined =>
  decode(COMMAND_TABLE, bytes, version) as Command | undefined;

/** The answer or event; undefined where the word is unknown. Throws `DecodeError` where its parameters don't parse. */
export const decodeServerMessage = (bytes: Bytes, version: number): ServerMessage | undefined =>
  decode(MESSAGE_TABLE, bytes, version) as ServerMessage | undefined;

function encode(words: Table, value: { readonly word: string }, version: number): Uint8Array {
  const fields = words.get(value.word)!;
  const w = new Writer(192).text(value.word);
  if (hasFields(fields, version)) writeFields(fields, w.u8(SPACE), value, version);
  return w.done();
}

function decode(words: Table, bytes: Bytes, version: number): object | undefined {
  const r = new Reader(bytes);
  const word = readWord(r);
  const fields = words.get(word);
  if (fields === undefined) return undefined;
  if (hasFields(fields, version)) r.expect(' ');
  const value = readFields(fields, r, version, { word });
  r.end();
  return value;
}

/** The bytes up to the first space; '' where they are too many for a word. */
function readWord(r: Reader): string {
  const head = r.bytes.subarray(0, MAX_WORD + 1);
  const space = head.indexOf(SPACE);
  const length = space < 0 ? head.length : space;
  return length > MAX_WORD ? '' : latin1(r.take(length));
}

/** What is wrong with the credentials that a command came with (guide E.4, G). */
export function credentialsProblem(
  word: CommandWord,
  given: { readonly auth: boolean; readonly entity: boolean },
): CommandErrorReason | undefined {
  if (word === 'PING') return given.auth || given.entity ? 'HAS_AUTH' : undefined;
  if (word === 'SEND') return given.entity ? undefined : 'NO_ENTITY';
  if (!given.auth) return 'NO_AUTH';
  if (word === 'NEW') return given.entity ? 'HAS_AUTH' : undefined;
  return given.entity ? undefined : 'NO_AUTH';
}
