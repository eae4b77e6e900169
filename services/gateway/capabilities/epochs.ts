/**
 * Epoch keys (relay.md §4): a 32-byte root issues capabilities and codes for 7 days, opens them for 45 more, and is
 * then overwritten and unlinked. What a capability says can be read for 52 days at most, by nobody afterwards.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { type Bytes, utf8, wipe } from '../../../shared/encoding/bytes.js';
import { KEY_ID_SIZE } from '../../../shared/relay/sealed-record.js';
import { SLOT_SECONDS, slotOf, slotStart } from '../../../shared/relay/verification.js';
import { type Clock, seconds } from '../../../shared/run/clock.js';
import type { Log } from '../../../shared/run/log.js';
import { Secret } from '../../../shared/run/secret.js';
import { type DatedKey, type KeyFolder, keyName } from './key-folder.js';
import { KeyRing } from './key-ring.js';

const DAY_SECONDS = 24 * 3600;
export const ISSUING_SECONDS = 7 * DAY_SECONDS;
export const OPENING_SECONDS = 45 * DAY_SECONDS;

const ROOT_SIZE = 32;
const EMPTY = new Uint8Array(0);
const CAPABILITY_INFO = utf8('porchlight capability v1');
const CODE_INFO = utf8('porchlight code v1');

export interface Epoch {
  readonly keyId: Uint8Array;
  /** Unix seconds; it issues from here for `ISSUING_SECONDS`. Always the start of a code's slot. */
  readonly start: number;
  /** HKDF children of the root; the root itself is not kept in memory. */
  readonly capabilityKey: Uint8Array;
  readonly codeKey: Uint8Array;
}

/** Whether `time` lies in the days in which this epoch's key issues. */
export const issuesAt = (epoch: Epoch, time: number): boolean =>
  epoch.start <= time && time < epoch.start + ISSUING_SECONDS;

export interface EpochsOptions {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly log: Log;
  readonly folder: KeyFolder;
}

export class Epochs {
  private readonly options: EpochsOptions;
  private readonly ring: KeyRing<Epoch>;

  constructor(options: EpochsOptions) {
    this.options = options;
    const load = (key: DatedKey) => derive(options.crypto, key);
    const drop = (epoch: Epoch) => wipe(epoch.capabilityKey, epoch.codeKey);
    this.ring = new KeyRing({ ...options, load, drop });
  }

  /** The epoch that issues now; a new one where none does. Throws where its file can't be written. */
  current(): Epoch {
    const now = seconds(this.options.clock);
    const issuing = (epochs: readonly Epoch[]) => newest(epochs.filter((epoch) => issuesAt(epoch, now)));
    return issuing(this.ring.all()) ?? issuing(this.ring.allNow()) ?? this.begin(now);
  }

  /** The epoch of a capability's key id, while it opens. */
  find(keyId: Bytes): Epoch | undefined {
    return this.ring.find(keyId);
  }

  /** Epochs that may have drawn a code in this slot: one, or two where replicas began at the same time. */
  ofSlot(slot: number): Epoch[] {
    return this.ring.allNow().filter((epoch) => issuesAt(epoch, slotStart(slot)));
  }

  close(): void {
    this.ring.close();
  }

  /** Starts with a slot, so that within one slot one key draws all codes. */
  private begin(now: number): Epoch {
    const { crypto, log } = this.options;
    const start = slotOf(now) * SLOT_SECONDS;
    const key: DatedKey = {
      keyId: crypto.randomBytes(KEY_ID_SIZE),
      notBefore: start,
      notAfter: start + ISSUING_SECONDS + OPENING_SECONDS,
      secret: new Secret('epoch root', crypto.randomBytes(ROOT_SIZE)),
    };
    const epoch = this.ring.add(key);
    log.info('epoch begun', { name: keyName(key.keyId) });
    return epoch;
  }
}

function derive(crypto: Crypto, key: DatedKey): Epoch {
  const root = key.secret.bytes;
  const capabilityKey = crypto.hkdfSha256(EMPTY, root, CAPABILITY_INFO, 32);
  const codeKey = crypto.hkdfSha256(EMPTY, root, CODE_INFO, 32);
  key.secret.wipe();
  return { keyId: key.keyId, start: key.notBefore, capabilityKey, codeKey };
}

/** The same choice on every replica: the latest start, then the smallest id. */
function newest(epochs: readonly Epoch[]): Epoch | undefined {
  let best: Epoch | undefined;
  for (const epoch of epochs) {
    const later = best === undefined || epoch.start > best.start;
    const tie = best?.start === epoch.start && keyName(epoch.keyId) < keyName(best.keyId);
    if (later || tie) best = epoch;
  }
  return best;
}
