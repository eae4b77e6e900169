/** What Redis is asked for one frame: the names of its keys under one day's key, and its limits. Nothing of it can be read back. */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { toBase64url } from '../../../shared/encoding/base64url.js';
import type { Bytes } from '../../../shared/encoding/bytes.js';
import type { FrameKind } from '../../../shared/relay/batch.js';
import { APP_TAG_SIZE, environmentCode } from '../../../shared/relay/identity.js';
import { MAX_TOKEN_SIZE } from '../../../shared/relay/sealed-token.js';
import {
  type Bucket,
  DEVICE_BUCKETS,
  DEVICE_CAP_SECONDS,
  OWN_BUCKETS,
  STRANGER_BUCKETS,
} from '../limits/caps.js';
import type { AskedFrame } from '../limits/frame-gate.js';
import { JointHash } from '../limits/joint-hash.js';
import type { Argument } from './client.js';

/** Multiples of 3 make whole base64url. */
const DEVICE_HASH = 15;
const OWN_HASH = 9;
const ID_HASH = 12;
const SEPARATE = Uint8Array.of(0);

/** Buckets of one table. */
interface Group {
  readonly name: string;
  readonly buckets: readonly Bucket[];
  /** Of each bucket, as the script reads it. */
  readonly limits: readonly string[];
}

/**
 * @param reason what a refusal by these buckets says
 * @param seconds how long it says to wait, whatever the bucket; 0 = as long as it takes
 */
const group = (
  name: string,
  buckets: readonly Bucket[],
  reason: 'budget' | 'device',
  seconds: number,
): Group => ({
  name,
  buckets,
  limits: buckets.map(({ limit }) => `${limit.periodMs} ${limit.burst} ${reason} ${seconds}`),
});

const provenGroups = (kind: FrameKind): readonly Group[] => [
  group('o', OWN_BUCKETS[kind], 'budget', 0),
  group('d', DEVICE_BUCKETS[kind], 'device', DEVICE_CAP_SECONDS[kind]),
];
const PROVEN: Readonly<Record<FrameKind, readonly Group[]>> = {
  verification: provenGroups('verification'),
  message: provenGroups('message'),
  check: provenGroups('check'),
  alert: provenGroups('alert'),
};
const STRANGERS: readonly Group[] = [group('s', STRANGER_BUCKETS, 'device', 0)];
const UNLIMITED: readonly Group[] = [];

/** The keys of a frame on one day; they share a hash tag, so that a cluster has them in one place. */
export interface FrameKeys {
  /** The hash of the device. */
  readonly tag: string;
  readonly id: string;
  readonly buckets: readonly string[];
  /** Of this device at this subscriber, or at all strangers. */
  readonly row: string;
}

export class Tickets {
  private readonly names: JointHash;
  private readonly prefix: string;
  private readonly limitsTest: boolean;

  constructor(crypto: Crypto, prefix: string, limitsTest: boolean) {
    this.names = new JointHash(crypto, APP_TAG_SIZE + 1 + MAX_TOKEN_SIZE);
    this.prefix = prefix;
    this.limitsTest = limitsTest;
  }

  /** The names of a frame's keys under a day's key. */
  keys(asked: AskedFrame, dayKey: Bytes): FrameKeys {
    const { open } = asked;
    const hash = (size: number, ...parts: Bytes[]): Uint8Array =>
      this.names.of(dayKey, ...parts).subarray(0, size);
    const environment = Uint8Array.of(environmentCode(open.environment));
    const device = hash(DEVICE_HASH, open.appTag, environment, open.token);
    const tag = toBase64url(device);
    const start = `${this.prefix}{${tag}}`;
    const own = open.proven ? toBase64url(hash(OWN_HASH, device, open.subscriberTag)) : '';
    const id = toBase64url(hash(ID_HASH, device, SEPARATE, open.subscriberTag, asked.id));
    const buckets = this.groups(asked).flatMap((group) =>
      group.buckets.map(({ column }) => `${start}${group.name}${column}${group.name === 'o' ? own : ''}`),
    );
    return { tag, id: `${start}f${id}`, buckets, row: tag + own };
  }

  /** The script's arguments for a frame. `least`: arrival times that count from yesterday, one a bucket. */
  args(asked: AskedFrame, least: readonly (string | null)[]): Argument[] {
    const args: Argument[] = [0];
    let count = 0;
    for (const { limits } of this.groups(asked)) {
      for (const limit of limits) args.push(limit, least[count++] ?? 0);
    }
    args[0] = count;
    return args;
  }

  private groups({ open, kind }: AskedFrame): readonly Group[] {
    if (open.environment === 'test' && !this.limitsTest) return UNLIMITED;
    return open.proven ? PROVEN[kind] : STRANGERS;
  }
}
