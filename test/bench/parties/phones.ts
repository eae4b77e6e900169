/** Phones of one app: they register at the subscriber, prove their tokens and subscribe queues, as stock clients do. */
import { cbDecrypt, pad } from '../../../shared/crypto/box.js';
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../shared/crypto/load.js';
import { fromUtf8 } from '../../../shared/encoding/bytes.js';
import { NTF_BLOCK_SIZE } from '../../../shared/ntf/constants.js';
import { sleep, systemClock } from '../../../shared/run/clock.js';
import type { SmpQueue } from '../../../shared/smp/address.js';
import { encodeBatch } from '../../../shared/smp/transmission.js';
import { NtfTestClient, replyText } from '../../support/ntf-client.js';
import { type TestPhone, testPhone } from '../../support/ntf-server.js';
import { serve } from '../child.js';

export interface PhonesOptions {
  readonly port: number;
  readonly keyHash: Uint8Array;
  readonly smp: { readonly port: number; readonly keyHash: Uint8Array };
  /** `pushed`: the code comes in a push, see `pushed`; `any`: the gateway takes whatever comes. */
  readonly code: 'pushed' | 'any';
}

interface Phone extends TestPhone {
  readonly client: NtfTestClient;
  readonly tokenId: Uint8Array;
  readonly dhSecret: Uint8Array;
}

const CONNECTIONS = 8;
const POLL_MS = 2;

let crypto: Crypto;
let options: PhonesOptions;
let clients: NtfTestClient[] = [];
const phones: Phone[] = [];
const waiting = new Map<Phone, (code: Uint8Array) => void>();
/** Verification pushes that fit no waiting phone yet. */
const unclaimed: Uint8Array[] = [];
let prepared: { client: NtfTestClient; blocks: Uint8Array[] }[] = [];
let queues = 0;

async function register(client: NtfTestClient): Promise<void> {
  const token = crypto.randomBytes(16);
  const made = testPhone(crypto, { provider: 'AT', token: Buffer.from(token).toString('hex') });
  const { response } = await client.send(made.tnew, { key: made.key });
  if (response.word !== 'IDTKN') throw new Error(replyText(response));
  const dhSecret = crypto.x25519(made.dhPrivateKey, response.dhKey);
  const phone = { ...made, client, dhSecret, tokenId: response.tokenId.slice() };
  const code = options.code === 'any' ? await whenConfirmed(phone) : await codePushed(phone);
  const proof = await client.text({ word: 'TVFY', code }, { key: phone.key, entityId: phone.tokenId });
  if (proof !== 'OK') throw new Error(`TVFY: ${proof}`);
  phones.push(phone);
}

async function whenConfirmed({ client, key, tokenId }: Phone): Promise<Uint8Array> {
  while ((await client.text({ word: 'TCHK' }, { key, entityId: tokenId })) !== 'TKN CONFIRMED') {
    await sleep(systemClock, POLL_MS);
  }
  return crypto.randomBytes(32);
}

function codePushed(phone: Phone): Promise<Uint8Array> {
  return new Promise((resolve) => {
    waiting.set(phone, resolve);
    for (const body of unclaimed.splice(0)) claim(body);
  });
}

/** Apple would know whose push it is; here whoever can open it. */
function claim(body: Uint8Array): void {
  const { notificationData } = JSON.parse(fromUtf8(body)) as { notificationData?: Record<string, string> };
  if (notificationData?.verification === undefined) return;
  const nonce = Buffer.from(notificationData.nonce!, 'base64url');
  const box = Buffer.from(notificationData.verification, 'base64url');
  for (const [phone, resolve] of waiting) {
    const code = cbDecrypt(crypto, phone.dhSecret, nonce, box);
    if (code === undefined) continue;
    waiting.delete(phone);
    resolve(code);
    return;
  }
  unclaimed.push(body);
}

/** The same queue numbers as the messaging server's. */
function queue(n: number): SmpQueue {
  const { port, keyHash } = options.smp;
  const notifierId = new Uint8Array(24);
  new DataView(notifierId.buffer).setUint32(20, n);
  return { server: { hosts: ['127.0.0.1'], port: String(port), keyHash }, notifierId };
}

function subscription({ client, key, tokenId }: Phone): Uint8Array {
  const notifierKey = { algorithm: 'ed25519', raw: crypto.randomBytes(32) } as const;
  const command = { word: 'SNEW', tokenId, queue: queue(queues++), notifierKey } as const;
  return pad(encodeBatch(client.params, [client.transmission(command, { key })]), NTF_BLOCK_SIZE);
}

async function subscribe({ client, blocks }: (typeof prepared)[number]): Promise<void> {
  for (const block of blocks) client.wire.write(block);
  for (let left = blocks.length; left > 0; left--) {
    const [reply] = await client.replies();
    if (reply?.response.word !== 'IDSUB') throw new Error(reply && replyText(reply.response));
  }
}

const api = {
  async connect(wanted: PhonesOptions): Promise<void> {
    crypto = await loadCrypto();
    options = wanted;
    const { port, keyHash } = wanted;
    const open = () => NtfTestClient.connect({ port, keyHash, crypto, alpn: ['ntf/1'] });
    clients = await Promise.all(Array.from({ length: CONNECTIONS }, open));
  },
  /** Until so many are ACTIVE. */
  async register(count: number): Promise<void> {
    let left = count;
    const worker = async (client: NtfTestClient): Promise<void> => {
      while (left-- > 0) await register(client);
    };
    await Promise.all(clients.map(worker));
  },
  /** A push that arrived at Apple. */
  pushed(body: Uint8Array): void {
    claim(body);
  },
  /** Makes and signs the SNEWs of `each` queues a phone. */
  prepare(each: number): number {
    const blocks = new Map<NtfTestClient, Uint8Array[]>(clients.map((client) => [client, []]));
    for (const phone of phones) {
      for (let i = 0; i < each; i++) blocks.get(phone.client)!.push(subscription(phone));
    }
    prepared = [...blocks].map(([client, of]) => ({ client, blocks: of }));
    return phones.length * each;
  },
  /** Sends them all, and reads all answers. */
  async subscribe(): Promise<void> {
    await Promise.all(prepared.map(subscribe));
  },
};
export type Phones = typeof api;
serve(api);
