/**
 * X25519 keys to which device tokens are sealed. A new one every 30 days; each is advertised for 60, and opens for
 * a day longer, since a sealed token is good for a day. Then it is destroyed, and what was sealed to it with it.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { type Bytes, wipe } from '../../../shared/encoding/bytes.js';
import { KEY_ID_SIZE } from '../../../shared/relay/sealed-record.js';
import { SEALED_TOKEN_LIFE_SECONDS } from '../../../shared/relay/sealed-token.js';
import { type GatewaySealingKey, MAX_SEALING_KEYS } from '../../../shared/relay/statement.js';
import { type Clock, seconds } from '../../../shared/run/clock.js';
import type { Log } from '../../../shared/run/log.js';
import { Secret } from '../../../shared/run/secret.js';
import { type DatedKey, type KeyFolder, keyName } from './key-folder.js';
import { KeyRing } from './key-ring.js';

const DAY_SECONDS = 24 * 3600;
const ROTATE_SECONDS = 30 * DAY_SECONDS;
const ADVERTISED_SECONDS = 60 * DAY_SECONDS;
/** A fresh key counts from a little earlier, for readers whose clock is slow. */
const EARLY_SECONDS = 3600;

interface HeldKey extends GatewaySealingKey {
  readonly privateKey: Uint8Array;
}

export interface SealingKeysOptions {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly log: Log;
  readonly folder: KeyFolder;
}

export class SealingKeys {
  private readonly options: SealingKeysOptions;
  private readonly ring: KeyRing<HeldKey>;

  constructor(options: SealingKeysOptions) {
    this.options = options;
    const load = (key: DatedKey) => held(options.crypto, key);
    this.ring = new KeyRing({ ...options, load, drop: (key) => wipe(key.privateKey) });
  }

  /** Private key of an id while it opens. */
  privateKey(keyId: Bytes): Uint8Array | undefined {
    return this.ring.find(keyId)?.privateKey;
  }

  /** The keys to advertise now, newest first; makes a new one where the newest is old. */
  advertised(): GatewaySealingKey[] {
    const now = seconds(this.options.clock);
    if (!this.begun(now).some((key) => now < key.notBefore + ROTATE_SECONDS)) this.rotate(now);
    return this.begun(now)
      .filter((key) => now < key.notAfter)
      .sort((a, b) => b.notBefore - a.notBefore)
      .slice(0, MAX_SEALING_KEYS)
      .map(({ keyId, publicKey, notBefore, notAfter }) => ({ keyId, publicKey, notBefore, notAfter }));
  }

  /** Keys whose days have begun: one made while the clock was ahead must not keep others from being made. */
  private begun(now: number): HeldKey[] {
    return this.ring.all().filter((key) => key.notBefore <= now);
  }

  close(): void {
    this.ring.close();
  }

  /** A folder that can't be written leaves the keys that are there in use. */
  private rotate(now: number): void {
    const { crypto, log, folder } = this.options;
    const notBefore = now - EARLY_SECONDS;
    const key: DatedKey = {
      keyId: crypto.randomBytes(KEY_ID_SIZE),
      notBefore,
      notAfter: notBefore + ADVERTISED_SECONDS + SEALED_TOKEN_LIFE_SECONDS,
      secret: new Secret('sealing key', crypto.x25519KeyPair().privateKey),
    };
    try {
      this.ring.add(key);
      log.info('sealing key made', { name: keyName(key.keyId) });
    } catch {
      log.error('sealing key cannot be written', { file: folder.path });
    }
  }
}

/** The file's `notAfter` is when the key stops opening; a day before, it is no longer advertised. */
function held(crypto: Crypto, key: DatedKey): HeldKey {
  const privateKey = key.secret.bytes;
  return {
    keyId: key.keyId,
    publicKey: crypto.x25519PublicKey(privateKey),
    notBefore: key.notBefore,
    notAfter: key.notAfter - SEALED_TOKEN_LIFE_SECONDS,
    privateKey,
  };
}
