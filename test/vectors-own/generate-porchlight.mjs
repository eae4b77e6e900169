/**
 * Vectors of profile `porchlight`, by an encoder that shares no code with the product: node:crypto, tweetnacl and byte
 * offsets written down from shared/push/README.md. Run: node test/vectors-own/generate-porchlight.mjs
 */
import { createHash, hkdfSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import nacl from 'tweetnacl';

const hex = (b) => Buffer.from(b).toString('hex');
/** Reproducible bytes: SHA-256 of a name, as often as needed. */
const bytes = (name, n) => {
  const parts = [];
  for (let i = 0; i * 32 < n; i++) parts.push(createHash('sha256').update(`${name} ${i}`).digest());
  return Buffer.concat(parts).subarray(0, n);
};

const secret = bytes('push secret', 32);
const key = (info) => Buffer.from(hkdfSync('sha512', secret, Buffer.alloc(0), info, 32));
const messageKey = key('porchlight message v1');
const verificationKey = key('porchlight verification v1');

function plaintext({ flags, epoch, sequence, time, entries }) {
  const out = Buffer.alloc(2912);
  out.writeUInt8(1, 0);
  out.writeUInt8(flags, 1);
  out.writeUInt8(entries.length, 2);
  out.writeUInt16BE(epoch, 4);
  out.writeUInt32BE(sequence, 6);
  out.writeUInt32BE(time, 10);
  entries.forEach((entry, i) => {
    const at = 16 + 205 * i;
    Buffer.from(entry.subscriptionId, 'hex').copy(out, at);
    out.writeUInt32BE(entry.sequence, at + 24);
    out.writeUInt8(entry.class + (entry.nonce === undefined ? 128 : 0), at + 28);
    out.writeBigInt64BE(BigInt(entry.time), at + 29);
    if (entry.nonce === undefined) return;
    Buffer.from(entry.nonce, 'hex').copy(out, at + 37);
    Buffer.from(entry.metadata, 'hex').copy(out, at + 61);
  });
  return out;
}

const entry = (name, more = {}) => ({
  subscriptionId: hex(bytes(`${name} id`, 24)),
  sequence: 7,
  class: 0,
  time: 1_800_000_000,
  nonce: hex(bytes(`${name} nonce`, 24)),
  metadata: hex(bytes(`${name} metadata`, 144)),
  ...more,
});
const bare = { nonce: undefined, metadata: undefined };

const pushes = [
  { flags: 0, epoch: 0, sequence: 1, time: 1_800_000_000, entries: [] },
  { flags: 0, epoch: 0xabcd, sequence: 7, time: 1_800_000_001, entries: [entry('alice')] },
  {
    flags: 7,
    epoch: 0xffff,
    sequence: 0xffffffff,
    time: 0xffffffff,
    entries: [entry('bob', { ...bare, class: 1 }), entry('carol', { sequence: 0xffffffff, time: 2 ** 33 })],
  },
  {
    flags: 1,
    epoch: 258,
    sequence: 20,
    time: 1_800_000_600,
    entries: Array.from({ length: 14 }, (_, i) => entry(`queue ${i}`, { sequence: 7 + i })),
  },
];

const messages = pushes.map((push, i) => {
  const nonce = bytes(`push nonce ${i}`, 24);
  const plain = plaintext(push);
  return { push, plaintext: hex(plain), nonce: hex(nonce), box: hex(nacl.secretbox(plain, nonce, messageKey)) };
});

const code = bytes('code', 32);
const codePlain = Buffer.alloc(2912, '#');
codePlain.writeUInt16BE(32, 0);
code.copy(codePlain, 2);
const nonce = bytes('verification nonce', 24);
const m = new Uint8Array(32);
nacl.lowlevel.crypto_core_hsalsa20(m, nonce.subarray(0, 16), verificationKey, Buffer.from('expand 32-byte k'));

writeFileSync(
  new URL('porchlight-push.json', import.meta.url),
  `${JSON.stringify(
    {
      comment: 'shared/push/README.md',
      secret: hex(secret),
      messageKey: hex(messageKey),
      verificationKey: hex(verificationKey),
      messages,
      verification: {
        code: hex(code),
        nonce: hex(nonce),
        m: hex(m),
        box: hex(nacl.secretbox(codePlain, nonce, verificationKey)),
      },
    },
    null,
    2,
  )}\n`,
);
