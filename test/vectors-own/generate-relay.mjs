/**
 * Vectors for every layout of the relay contract, by an encoder that shares no code with the product: node:crypto,
 * tweetnacl, @hpke and byte offsets written down from relay.md. Run: node test/vectors-own/generate-relay.mjs
 */
import {
  createCipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  hkdfSync,
  sign,
} from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { Chacha20Poly1305 } from '@hpke/chacha20poly1305';
import { CipherSuite, HkdfSha256 } from '@hpke/core';
import { DhkemX25519HkdfSha256 } from '@hpke/dhkem-x25519';
import nacl from 'tweetnacl';

const sha256 = (b) => createHash('sha256').update(b).digest();
const hmac = (k, ...p) => p.reduce((h, b) => h.update(b), createHmac('sha256', k)).digest();
const hex = (b) => Buffer.from(b).toString('hex');
/** Reproducible bytes: SHA-256 of a name, as often as needed. */
const bytes = (name, n) => {
  const parts = [];
  for (let i = 0; i * 32 < n; i++) parts.push(sha256(`${name} ${i}`));
  return Buffer.concat(parts).subarray(0, n);
};
const u16 = (n) => Buffer.from([n >> 8, n & 255]);
const u32 = (n) => {
  const b = Buffer.alloc(4);
  b.writeUInt32BE(n);
  return b;
};
const cat = (...parts) => Buffer.concat(parts.map((p) => (typeof p === 'number' ? Buffer.from([p]) : p)));
const save = (name, value) =>
  writeFileSync(new URL(`relay-${name}.json`, import.meta.url), `${JSON.stringify(value, null, 2)}\n`);

/** HChaCha20 (draft-irtf-cfrg-xchacha §2.2), for XChaCha20-Poly1305 on node's ChaCha20-Poly1305. */
function hchacha20(key, input) {
  const s = new Uint32Array(16);
  s.set([0x61707865, 0x3320646e, 0x79622d32, 0x6b206574]);
  for (let i = 0; i < 8; i++) s[4 + i] = key.readUInt32LE(4 * i);
  for (let i = 0; i < 4; i++) s[12 + i] = input.readUInt32LE(4 * i);
  const rot = (x, n) => (x << n) | (x >>> (32 - n));
  const quarter = (a, b, c, d) => {
    s[a] += s[b];
    s[d] = rot(s[d] ^ s[a], 16);
    s[c] += s[d];
    s[b] = rot(s[b] ^ s[c], 12);
    s[a] += s[b];
    s[d] = rot(s[d] ^ s[a], 8);
    s[c] += s[d];
    s[b] = rot(s[b] ^ s[c], 7);
  };
  for (let i = 0; i < 10; i++) {
    for (let j = 0; j < 4; j++) quarter(j, 4 + j, 8 + j, 12 + j);
    for (let j = 0; j < 4; j++) quarter(j, 4 + ((j + 1) % 4), 8 + ((j + 2) % 4), 12 + ((j + 3) % 4));
  }
  return cat(
    ...[0, 1, 2, 3, 12, 13, 14, 15].map((i) =>
      cat(s[i] & 255, (s[i] >>> 8) & 255, (s[i] >>> 16) & 255, s[i] >>> 24),
    ),
  );
}

function xchacha(key, nonce, aad, plain) {
  const sub = hchacha20(key, nonce.subarray(0, 16));
  const cipher = createCipheriv('chacha20-poly1305', sub, cat(Buffer.alloc(4), nonce.subarray(16)), {
    authTagLength: 16,
  });
  cipher.setAAD(aad, { plaintextLength: plain.length });
  return cat(cipher.update(plain), cipher.final(), cipher.getAuthTag());
}

const subscriberSeed = bytes('subscriber seed', 32);
const ed25519Pkcs8 = (seed) => cat(Buffer.from('302e020100300506032b657004220420', 'hex'), seed);
const ed25519Key = (seed) => createPrivateKey({ key: ed25519Pkcs8(seed), format: 'der', type: 'pkcs8' });
const rawPublic = (key) => createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32);
const subscriberPublic = rawPublic(ed25519Key(subscriberSeed));
const subscriberTag = sha256(subscriberPublic).subarray(0, 16);
const topic = 'chat.example.app';
const appTag = sha256(topic).subarray(0, 8);

const suite = new CipherSuite({
  kem: new DhkemX25519HkdfSha256(),
  kdf: new HkdfSha256(),
  aead: new Chacha20Poly1305(),
});
const sealingPrivate = bytes('sealing key', 32);
const sealingPublic = Buffer.from(nacl.scalarMult.base(sealingPrivate));
const sealingKeyId = bytes('sealing key id', 4);

async function sealedToken({ environment, createdAt, ownerKey, token }) {
  const plaintext = cat(
    1,
    environment,
    appTag,
    u32(createdAt),
    subscriberTag,
    ownerKey,
    token.length,
    token,
    Buffer.alloc(113 - token.length),
  );
  if (plaintext.length !== 176) throw new Error('token layout');
  const aad = cat(1, sealingKeyId);
  const recipientPublicKey = await suite.kem.deserializePublicKey(sealingPublic);
  const sender = await suite.createSenderContext({
    recipientPublicKey,
    info: Buffer.from('porchlight token v1'),
  });
  const ct = Buffer.from(await sender.seal(plaintext, aad));
  return cat(aad, Buffer.from(sender.enc), ct);
}

const tokens = [
  { environment: 0, createdAt: 1_800_000_000, ownerKey: Buffer.alloc(32), token: bytes('token', 32) },
  { environment: 1, createdAt: 1, ownerKey: bytes('owner', 32), token: bytes('long token', 100) },
  { environment: 2, createdAt: 0xffffffff, ownerKey: Buffer.alloc(32, 255), token: Buffer.from('t') },
];
save('sealed-token', {
  comment: 'relay.md §3; HPKE by @hpke/core',
  subscriberPublicKey: hex(subscriberPublic),
  topic,
  keyId: hex(sealingKeyId),
  privateKey: hex(sealingPrivate),
  publicKey: hex(sealingPublic),
  cases: await Promise.all(
    tokens.map(async (t) => ({
      environment: t.environment,
      createdAt: t.createdAt,
      ownerKey: hex(t.ownerKey),
      token: hex(t.token),
      sealed: hex(await sealedToken(t)),
    })),
  ),
});

async function sealedRevocation({ environment, time, tag, ownerSeed, token }) {
  const owner = ed25519Key(ownerSeed);
  const zeros = Buffer.alloc(113 - token.length);
  const signed = cat(1, environment, appTag, u32(time), tag, rawPublic(owner), token.length, token, zeros);
  const plaintext = cat(signed, sign(null, signed, owner));
  if (plaintext.length !== 240) throw new Error('revocation layout');
  const aad = cat(2, sealingKeyId);
  const recipientPublicKey = await suite.kem.deserializePublicKey(sealingPublic);
  const info = Buffer.from('porchlight token v1');
  const sender = await suite.createSenderContext({ recipientPublicKey, info });
  const ct = Buffer.from(await sender.seal(plaintext, aad));
  return cat(aad, Buffer.from(sender.enc), ct);
}

const revocations = [
  { environment: 0, time: 1_800_000_000, tag: Buffer.alloc(16), token: bytes('token', 32) },
  { environment: 1, time: 1, tag: subscriberTag, token: bytes('long token', 100) },
  { environment: 2, time: 0xffffffff, tag: Buffer.alloc(16), token: Buffer.from('t') },
].map((r, i) => ({ ...r, ownerSeed: bytes(`owner seed ${i}`, 32) }));
save('revocation', {
  comment: 'relay.md §6; HPKE by @hpke/core, signature by node:crypto',
  topic,
  keyId: hex(sealingKeyId),
  privateKey: hex(sealingPrivate),
  publicKey: hex(sealingPublic),
  cases: await Promise.all(
    revocations.map(async (r) => ({
      environment: r.environment,
      time: r.time,
      subscriberTag: hex(r.tag),
      ownerSeed: hex(r.ownerSeed),
      ownerKey: hex(rawPublic(ed25519Key(r.ownerSeed))),
      token: hex(r.token),
      sealed: hex(await sealedRevocation(r)),
    })),
  ),
});

const root = bytes('epoch root', 32);
const epochId = bytes('epoch id', 4);
const child = (info) => Buffer.from(hkdfSync('sha256', root, Buffer.alloc(0), info, 32));
const start = 1_799_999_700;
const capabilityId = bytes('capability id', 16);

function capability(c) {
  const plaintext = cat(
    c.flags,
    c.environment,
    appTag,
    subscriberTag,
    capabilityId,
    u32(c.createdAt),
    u32(c.issued),
    u32(c.provenAt),
    u32(c.expires),
    c.ownerKey,
    c.token.length,
    c.token,
    Buffer.alloc(120 - c.token.length),
  );
  if (plaintext.length !== 211) throw new Error('capability layout');
  const nonce = bytes(`nonce ${c.issued}`, 24);
  const aad = cat(1, epochId);
  return cat(aad, nonce, xchacha(child('porchlight capability v1'), nonce, aad, plaintext));
}

const capabilities = [
  {
    flags: 0,
    environment: 0,
    createdAt: 1_800_000_000,
    issued: 1_800_000_000,
    provenAt: 0,
    expires: 1_800_259_200,
    ownerKey: Buffer.alloc(32),
    token: bytes('token', 32),
  },
  {
    flags: 1,
    environment: 1,
    createdAt: 1_800_000_000,
    issued: 1_800_000_100,
    provenAt: 1_800_000_000,
    expires: 1_803_888_000,
    ownerKey: bytes('owner', 32),
    token: bytes('long token', 100),
  },
];
const slots = [start / 300, 6_000_000, 6_000_001];
save('capability', {
  comment: 'relay.md §4 and §5; XChaCha20-Poly1305 from HChaCha20 and node:crypto',
  root: hex(root),
  keyId: hex(epochId),
  start,
  subscriberPublicKey: hex(subscriberPublic),
  topic,
  id: hex(capabilityId),
  cases: capabilities.map((c) => ({
    proven: c.flags === 1,
    environment: c.environment,
    createdAt: c.createdAt,
    issued: c.issued,
    provenAt: c.provenAt,
    expires: c.expires,
    ownerKey: hex(c.ownerKey),
    token: hex(c.token),
    capability: hex(capability(c)),
  })),
  codes: slots.map((slot) => ({
    slot,
    code: hex(cat(u32(slot), hmac(child('porchlight code v1'), capabilityId, u32(slot)).subarray(0, 28))),
  })),
});

const phone = nacl.box.keyPair.fromSecretKey(bytes('phone key', 32));
const subscriberBox = nacl.box.keyPair.fromSecretKey(bytes('subscriber box key', 32));
const boxNonce = bytes('box nonce', 24);
const code = bytes('code', 32);
const sigma = Buffer.from('expand 32-byte k');
const k = nacl.box.before(phone.publicKey, subscriberBox.secretKey);
const m = new Uint8Array(32);
nacl.lowlevel.crypto_core_hsalsa20(m, boxNonce.subarray(0, 16), k, sigma);
const padded = cat(u16(32), code, Buffer.alloc(2912 - 34, '#'));
save('verification', {
  comment: 'relay.md §5; the box is tweetnacl’s nacl.box',
  m: hex(m),
  nonce: hex(boxNonce),
  code: hex(code),
  payload: hex(cat(Buffer.from(m), Buffer.alloc(2896))),
  box: hex(nacl.box(padded, boxNonce, phone.publicKey, subscriberBox.secretKey)),
});

const frames = [
  { kind: 0, urgency: 0, slot: 0, expiry: 1_800_000_600 },
  { kind: 1, urgency: 1, slot: 0, expiry: 1_802_592_000 },
  { kind: 2, urgency: 0, slot: 255, expiry: 0 },
  { kind: 3, urgency: 1, slot: 1, expiry: 0xffffffff },
].map((f, i) => ({
  ...f,
  id: bytes(`frame id ${i}`, 16),
  capability: bytes(`frame capability ${i}`, 256),
  nonce: bytes(`frame nonce ${i}`, 24),
  payload: bytes(`frame payload ${i}`, 2928),
}));
const batch = (list) =>
  cat(
    1,
    0,
    u16(list.length),
    u32(3232),
    ...list.map((f) =>
      cat(f.id, f.kind, f.urgency, f.slot, 0, u32(f.expiry), f.capability, f.nonce, f.payload),
    ),
  );
const answers = [
  { index: 0, outcome: 0, reason: 0, after: 0, capability: undefined },
  { index: 255, outcome: 0, reason: 0, after: 0, capability: bytes('renewed', 256) },
  { index: 1, outcome: 1, reason: 2, after: 1200, capability: undefined },
  { index: 2, outcome: 2, reason: 3, after: 0, capability: undefined },
  { index: 3, outcome: 3, reason: 1, after: 0, capability: undefined },
  { index: 4, outcome: 4, reason: 1, after: 0, capability: undefined },
];
const answer = (a) =>
  cat(
    u16(a.index),
    a.outcome,
    a.reason,
    u32(a.after),
    a.capability ? 1 : 0,
    Buffer.alloc(7),
    a.capability ?? Buffer.alloc(256),
  );
save('batch', {
  comment: 'relay.md §6; fields of a frame are named as there, long ones by their SHA-256',
  empty: hex(batch([])),
  frames: frames.map((f) => ({
    id: hex(f.id),
    kind: f.kind,
    urgency: f.urgency,
    slot: f.slot,
    expiry: f.expiry,
    capabilitySha256: hex(sha256(f.capability)),
    nonce: hex(f.nonce),
    payloadSha256: hex(sha256(f.payload)),
  })),
  batch: hex(batch(frames)),
  answers: answers.map((a) => ({
    ...a,
    capability: a.capability && hex(a.capability),
    record: hex(answer(a)),
  })),
});

const gatewayKey = ed25519Key(bytes('gateway seed', 32));
const gatewayPublic = rawPublic(gatewayKey);
const fingerprint = sha256(gatewayPublic).toString('base64url');
const body = batch([]);
const digest = `sha-256=:${sha256(body).toString('base64')}:`;
const covered = [
  ['@method', 'POST'],
  ['@authority', 'gateway.example:8443'],
  ['@path', '/v1/push'],
  ['@query', '?'],
  ['content-type', 'application/vnd.porchlight.v1'],
  ['content-digest', digest],
  ['porchlight-gateway', fingerprint],
];
const params = `(${covered.map(([n]) => `"${n}"`).join(' ')});created=1800000000;nonce="${bytes('request nonce', 16).toString('base64url')}";keyid="${subscriberPublic.toString('base64url')}";alg="ed25519";tag="porchlight-relay-v1"`;
const base = [...covered.map(([n, v]) => `"${n}": ${v}`), `"@signature-params": ${params}`].join('\n');
save('signature', {
  comment: 'relay.md §2: RFC 9421 with the covered components of the contract',
  seed: hex(subscriberSeed),
  publicKey: hex(subscriberPublic),
  created: 1_800_000_000,
  nonce: hex(bytes('request nonce', 16)),
  fingerprint,
  authority: 'gateway.example:8443',
  path: '/v1/push',
  body: hex(body),
  headers: {
    'content-type': 'application/vnd.porchlight.v1',
    'content-digest': digest,
    'porchlight-gateway': fingerprint,
    'signature-input': `relay=${params}`,
    signature: `relay=:${sign(null, Buffer.from(base), ed25519Key(subscriberSeed)).toString('base64')}:`,
  },
});

const statement = JSON.stringify({
  versions: [1],
  fingerprint,
  identityKey: gatewayPublic.toString('base64url'),
  issuedAt: 1_800_000_000,
  validUntil: 1_800_086_400,
  tlsSpki: sha256('spki').toString('base64url'),
  apps: [
    {
      topic,
      environments: ['production', 'sandbox'],
      profiles: ['simplex'],
      limits: { backgroundPerHour: 4, alertPerHour: 12, mutableBurst: 60, mutablePerDay: 2000 },
    },
  ],
  sealingKeys: [
    {
      keyId: sealingKeyId.toString('base64url'),
      publicKey: sealingPublic.toString('base64url'),
      notBefore: 1_799_000_000,
      notAfter: 1_804_000_000,
    },
  ],
  somethingLater: true,
});
save('statement', {
  comment: 'relay.md §1',
  fingerprint,
  sealingPublicKey: hex(sealingPublic),
  tlsSpki: hex(sha256('spki')),
  document: JSON.stringify({
    statement,
    signature: sign(null, Buffer.from(statement), gatewayKey).toString('base64url'),
  }),
});
