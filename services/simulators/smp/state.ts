/** The state that a real server keeps over a graceful restart: queues, messages, notifications not yet delivered. */
import { existsSync } from 'node:fs';
import { z } from 'zod';
import { readSecretFile, writeSecretFile } from '../../../shared/run/files.js';
import {
  type AuthAlgorithm,
  decodePublicKey,
  encodePublicKey,
  type Key,
  ofAlgorithm,
} from '../../../shared/smp/keys.js';
import type { Notifier, Queue, QueueStore } from './queues.js';

const bytes = z.base64().transform((text) => new Uint8Array(Buffer.from(text, 'base64')));
const key = bytes.transform((der) => ofAlgorithm(decodePublicKey(der), 'ed25519', 'ed448', 'x25519'));

const message = z.strictObject({
  id: bytes,
  timestamp: z.int(),
  content: z.strictObject({ notify: z.boolean(), body: bytes }).optional(),
});
const notifier = z.strictObject({
  id: bytes,
  key,
  secret: bytes,
  pending: z.array(z.strictObject({ nonce: bytes, metadata: bytes, storedAt: z.int() })),
});
const queue = z.strictObject({
  recipientId: bytes,
  senderId: bytes,
  recipientKey: key,
  secret: bytes,
  mode: z.enum(['M', 'C']).optional(),
  senderKey: key.optional(),
  notifier: notifier.optional(),
  messages: z.array(message),
  full: z.boolean(),
});

/** Writes all queues, readable by the owner only. */
export function saveState(file: string, store: QueueStore): void {
  writeSecretFile(file, JSON.stringify([...store.all()].map(toJson)));
}

/** Adds the queues of a file to the store, if there is one. Throws where it is no state of a stand-in. */
export function loadState(file: string, store: QueueStore): void {
  if (!existsSync(file)) return;
  for (const read of z.array(queue).parse(JSON.parse(readSecretFile(file).toString('utf8')))) {
    const { mode, senderKey, notifier: n, messages, ...rest } = read;
    store.add({
      ...rest,
      mode,
      senderKey,
      notifier: n,
      messages: messages.map(({ content, ...m }) => ({ ...m, content })),
    });
  }
}

const base64 = (value: Uint8Array): string => Buffer.from(value).toString('base64');
const keyJson = (value: Key<AuthAlgorithm>): string => base64(encodePublicKey(value));

function toJson(q: Queue): unknown {
  return {
    recipientId: base64(q.recipientId),
    senderId: base64(q.senderId),
    recipientKey: keyJson(q.recipientKey),
    secret: base64(q.secret),
    mode: q.mode,
    senderKey: q.senderKey && keyJson(q.senderKey),
    notifier: q.notifier && notifierJson(q.notifier),
    messages: q.messages.map(({ id, timestamp, content }) => ({
      id: base64(id),
      timestamp,
      content: content && { notify: content.notify, body: base64(content.body) },
    })),
    full: q.full,
  };
}

const notifierJson = ({ id, key: authKey, secret, pending }: Notifier): unknown => ({
  id: base64(id),
  key: keyJson(authKey),
  secret: base64(secret),
  pending: pending.map(({ nonce, metadata, storedAt }) => ({
    nonce: base64(nonce),
    metadata: base64(metadata),
    storedAt,
  })),
});
