/** What a real server keeps over a graceful restart: queues, services, messages, notifications not yet delivered. */
import { existsSync } from 'node:fs';
import { z } from 'zod';
import { latin1 } from '../../../shared/encoding/bytes.js';
import {
  type AuthAlgorithm,
  decodePublicKey,
  encodePublicKey,
  type Key,
  ofAlgorithm,
} from '../../../shared/encoding/keys.js';
import { readSecretFile, writeSecretFile } from '../../../shared/run/files.js';
import type { Broker } from './broker.js';
import type { Notifier, Queue } from './queues.js';

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
  serviceId: bytes.optional(),
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

const state = z.strictObject({
  queues: z.array(queue),
  services: z.array(z.strictObject({ certHash: bytes, id: bytes })),
});

/** Writes everything, readable by the owner only. */
export function saveState(file: string, { store, services }: Broker): void {
  const queues = [...store.all()].map(toJson);
  const known = [...services.entries()].map(([certHash, id]) => ({
    certHash: Buffer.from(certHash, 'latin1').toString('base64'),
    id: base64(id),
  }));
  writeSecretFile(file, JSON.stringify({ queues, services: known }));
}

/** Adds what a file holds, if there is one. Throws where it is no state of a stand-in. */
export function loadState(file: string, { store, services }: Broker): void {
  if (!existsSync(file)) return;
  const { queues, services: known } = state.parse(JSON.parse(readSecretFile(file).toString('utf8')));
  for (const { certHash, id } of known) services.add(latin1(certHash), id);
  for (const read of queues) {
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

const notifierJson = ({ id, key: authKey, secret, serviceId, pending }: Notifier): unknown => ({
  id: base64(id),
  key: keyJson(authKey),
  secret: base64(secret),
  serviceId: serviceId && base64(serviceId),
  pending: pending.map(({ nonce, metadata, storedAt }) => ({
    nonce: base64(nonce),
    metadata: base64(metadata),
    storedAt,
  })),
});
