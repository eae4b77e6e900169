/**
 * A notification server in memory, with just enough behaviour for the SDK's tests, and answers that a test can
 * replace. Blocks are cut into odd pieces on their way to the client.
 */
import { cbEncrypt, pad, unpad } from '../../shared/crypto/box.js';
import type { Crypto, KeyPair } from '../../shared/crypto/crypto.js';
import type { SignatureKey } from '../../shared/crypto/signatures.js';
import { toBase64url } from '../../shared/encoding/base64url.js';
import { type Bytes, concat, sameBytes, toHex } from '../../shared/encoding/bytes.js';
import { decodeCommand, type NtfCommand } from '../../shared/ntf/commands.js';
import { NTF_BLOCK_SIZE, NTF_VERSIONS } from '../../shared/ntf/constants.js';
import { decodeClientHello, encodeServerHello, ntfSession } from '../../shared/ntf/handshake.js';
import { encodeItems, type PayloadItem } from '../../shared/ntf/payload.js';
import { encodeResponse, type NtfResponse, type NtfSubscriptionStatus } from '../../shared/ntf/responses.js';
import { messageKey, verificationKey } from '../../shared/push/keys.js';
import { encodePush, type PorchlightPush } from '../../shared/push/porchlight-profile.js';
import type { ByteTransport } from '../../shared/sdk/transport.js';
import { signSessionKey } from '../../shared/smp/handshake.js';
import {
  authorizedAsReceived,
  decodeBlock,
  encodeBatch,
  encodeTransmission,
  type Received,
} from '../../shared/smp/transmission.js';

const EMPTY = new Uint8Array(0);
const PADDED = 2912;
const AUTH: NtfResponse = { word: 'ERR', error: { kind: 'AUTH' } };

interface Registration {
  readonly tokenId: Uint8Array;
  readonly verifyKey: Uint8Array;
  readonly dh: KeyPair;
  secret: Uint8Array;
  code: Uint8Array;
  active: boolean;
  token: string;
}

export class FakeNtfServer {
  /** Words of the commands that came, in order. */
  readonly words: string[] = [];
  /** Blocks that came, handshakes not counted. */
  blocks = 0;
  connections = 0;
  /** Answers of its own for some commands; undefined = the usual one. `drop` closes the connection. */
  override: (command: NtfCommand) => NtfResponse | 'drop' | undefined = () => undefined;
  statuses = new Map<string, NtfSubscriptionStatus>();
  readonly keyHash: Uint8Array;
  private readonly crypto: Crypto;
  private readonly leaf: KeyPair;
  private readonly registrations = new Map<string, Registration>();
  private readonly open = new Set<() => void>();

  constructor(crypto: Crypto) {
    this.crypto = crypto;
    this.leaf = crypto.ed25519KeyPair();
    this.keyHash = crypto.randomBytes(32);
  }

  /** As after a restart without a disk. */
  forgetAll(): void {
    this.registrations.clear();
    this.statuses.clear();
  }

  dropConnections(): void {
    for (const close of this.open) close();
  }

  /** The verification push of the only registration. */
  verificationPush(): string {
    const { secret, code } = this.only();
    const nonce = this.crypto.randomBytes(24);
    return JSON.stringify({
      aps: { 'content-available': 1 },
      notificationData: {
        nonce: toBase64url(nonce),
        verification: toBase64url(cbEncrypt(this.crypto, secret, nonce, code, PADDED)),
      },
    });
  }

  messagePush(items: readonly PayloadItem[]): string {
    const nonce = this.crypto.randomBytes(24);
    const box = cbEncrypt(this.crypto, this.only().secret, nonce, encodeItems(items), PADDED);
    return JSON.stringify({
      aps: { 'mutable-content': 1, alert: 'Encrypted message or another app event' },
      notificationData: { nonce: toBase64url(nonce), message: toBase64url(box) },
    });
  }

  /** The verification push in profile `porchlight`. */
  porchlightVerification(): string {
    const { secret, code } = this.only();
    return this.porchlight('verification', verificationKey(this.crypto, secret), pad(code, PADDED));
  }

  porchlightPush(push: PorchlightPush): string {
    return this.porchlight('message', messageKey(this.crypto, this.only().secret), encodePush(push));
  }

  private porchlight(kind: 'message' | 'verification', key: Uint8Array, plaintext: Uint8Array): string {
    const nonce = this.crypto.randomBytes(24);
    const box = this.crypto.secretboxSeal(key, nonce, plaintext);
    return JSON.stringify({
      aps: { 'mutable-content': 1, alert: 'Never looked at' },
      porchlight: { nonce: toBase64url(nonce), [kind]: toBase64url(box) },
    });
  }

  private only(): Registration {
    const all = [...this.registrations.values()];
    if (all.length !== 1) throw new Error(`expected one registration, there are ${all.length}`);
    return all[0]!;
  }

  /** A connection in memory. */
  connect(): ByteTransport {
    const sessionId = this.crypto.randomBytes(32);
    const dataListeners: ((bytes: Bytes) => void)[] = [];
    const closeListeners: (() => void)[] = [];
    let closed = false;
    const close = (): void => {
      if (closed) return;
      closed = true;
      this.open.delete(close);
      for (const listener of closeListeners) queueMicrotask(listener);
    };
    const deliver = (block: Bytes): void => {
      for (let at = 0; at < block.length; at += 200) {
        for (const listener of dataListeners) if (!closed) listener(block.slice(at, at + 200));
      }
    };
    const serve = this.serve(sessionId, (block) => setImmediate(deliver, block), close);
    this.open.add(close);
    return {
      sessionId,
      verify: (algorithm, message, signature) =>
        algorithm === 'ed25519' && this.crypto.ed25519Verify(this.leaf.publicKey, message, signature),
      onData: (listener) => dataListeners.push(listener),
      onClose: (listener) => closeListeners.push(listener),
      send: (bytes) => {
        if (!closed) serve(bytes);
      },
      close,
    };
  }

  /** Says hello; returns what takes the client's blocks. */
  serve(
    sessionId: Uint8Array,
    send: (block: Bytes) => void,
    close: () => void,
    signingKey: SignatureKey = { algorithm: 'ed25519', raw: this.leaf.privateKey.slice(0, 32) },
  ): (block: Bytes) => void {
    this.connections++;
    const signedKey = signSessionKey(this.crypto, signingKey, this.crypto.x25519KeyPair().publicKey);
    send(pad(encodeServerHello({ versions: NTF_VERSIONS, sessionId, signedKey }), NTF_BLOCK_SIZE));
    let version: number | undefined;
    return (block) => {
      const content = unpad(block)!;
      if (version === undefined) {
        const hello = decodeClientHello(content);
        if (sameBytes(hello.keyHash, this.keyHash)) version = hello.version;
        else close();
        return;
      }
      this.blocks++;
      const params = ntfSession(version, sessionId);
      const answers: Uint8Array[] = [];
      for (const received of decodeBlock(params, content)) {
        const command = decodeCommand(received.command)!;
        this.words.push(command.word);
        const answer =
          this.override(command) ?? this.answer(command, received, authorizedAsReceived(params, received));
        if (answer === 'drop') return close();
        const bare = ['IDTKN', 'IDSUB', 'PONG'].includes(answer.word);
        const { corrId } = received;
        const entityId = bare ? EMPTY : received.entityId;
        answers.push(
          encodeTransmission(params, {
            auth: EMPTY,
            corrId,
            entityId,
            command: encodeResponse(answer, version),
          }),
        );
      }
      send(pad(encodeBatch(params, answers), NTF_BLOCK_SIZE));
    };
  }

  private answer(command: NtfCommand, received: Received, signed: Bytes): NtfResponse {
    if (command.word === 'PING') return { word: 'PONG' };
    if (command.word === 'TNEW') return this.register(command, received, signed);
    const signer = [...this.registrations.values()].find((r) =>
      this.crypto.ed25519Verify(r.verifyKey, signed, received.auth),
    );
    if (!signer) return AUTH;
    const subscription = toHex(received.entityId);
    switch (command.word) {
      case 'TVFY':
        if (!sameBytes(command.code, signer.code)) return AUTH;
        signer.active = true;
        return { word: 'OK' };
      case 'TCHK':
        return { word: 'TKN', status: { kind: signer.active ? 'ACTIVE' : 'CONFIRMED' } };
      case 'TRPL':
        signer.token = toHex(command.token.text);
        signer.active = false;
        signer.code = this.crypto.randomBytes(32);
        return { word: 'OK' };
      case 'TDEL':
        this.registrations.delete(toHex(signer.tokenId));
        return { word: 'OK' };
      case 'SNEW': {
        if (!signer.active || !sameBytes(command.tokenId, signer.tokenId)) return AUTH;
        const subscriptionId = this.crypto.sha256(command.queue.notifierId).slice(0, 24);
        this.statuses.set(toHex(subscriptionId), { kind: 'ACTIVE' });
        return { word: 'IDSUB', subscriptionId };
      }
      case 'SCHK': {
        const status = this.statuses.get(subscription);
        return status ? { word: 'SUB', status } : AUTH;
      }
      default:
        return { word: 'OK' };
    }
  }

  private register(command: NtfCommand & { word: 'TNEW' }, received: Received, signed: Bytes): NtfResponse {
    if (!this.crypto.ed25519Verify(command.verifyKey.raw, signed, received.auth)) return AUTH;
    const token = toHex(concat(command.token.text));
    const verifyKey = command.verifyKey.raw.slice();
    let known = [...this.registrations.values()].find(
      (r) => sameBytes(r.verifyKey, verifyKey) && r.token === token,
    );
    if (!known) {
      const dh = this.crypto.x25519KeyPair();
      const secret = this.crypto.x25519(dh.privateKey, command.dhKey);
      const [tokenId, code] = [this.crypto.randomBytes(24), this.crypto.randomBytes(32)];
      known = { tokenId, verifyKey, dh, secret, code, active: false, token };
      for (const [id, other] of this.registrations) if (other.token === token) this.registrations.delete(id);
      this.registrations.set(toHex(tokenId), known);
    }
    return { word: 'IDTKN', tokenId: known.tokenId, dhKey: known.dh.publicKey };
  }
}
