/**
 * The APNs engine: chooses the key and the pool of each push. First contacts (tokens never proven) have connections
 * and breakers of their own, so that made-up tokens can spoil nothing for proven devices (design §6).
 */
import { uniform } from '../../../shared/crypto/uniform.js';
import type { Environment } from '../../../shared/relay/identity.js';
import { DeviceDelays } from './delays.js';
import type { ApnsEngine, ApnsPush, ApnsResult, ApnsTarget } from './engine.js';
import { http2Dial } from './http2/dial.js';
import { Meter } from './meter.js';
import { APNS_LIMITS, type ApnsEngineOptions, type ApnsKey, type ApnsLimits } from './options.js';
import { Pool } from './pool.js';
import { fault } from './push-rules.js';

/** Share of queue and streams that first contacts get. */
const FIRST_CONTACT_SHARE = 1 / 8;

type Lane = 'proven' | 'first';

/** Connects to nothing until the first push. Throws `RangeError` on keys that contradict each other. */
export function createApnsEngine(options: ApnsEngineOptions): ApnsEngine {
  const limits = { ...APNS_LIMITS, ...options.limits };
  const { crypto, clock } = options;
  const shared = {
    random: uniform(crypto),
    delays: new DeviceDelays(crypto, clock, limits.delayedDevices),
    meter: new Meter(options.metrics, options.log, clock),
  };
  return new Engine(options, limits, shared);
}

class Engine implements ApnsEngine {
  private readonly options: ApnsEngineOptions;
  private readonly limits: ApnsLimits;
  private readonly shared: { random: () => number; delays: DeviceDelays; meter: Meter };
  private readonly keys: ReadonlyMap<string, ApnsKey>;
  private readonly pools = new Map<string, Pool>();
  private closing = false;

  constructor(options: ApnsEngineOptions, limits: ApnsLimits, shared: Engine['shared']) {
    this.options = options;
    this.limits = limits;
    this.shared = shared;
    this.keys = keysByTarget(options);
  }

  send(push: ApnsPush): Promise<ApnsResult> {
    const pool = this.pool(push, push.provenAt > 0 ? 'proven' : 'first');
    const reason = pool === undefined ? 'UnknownTarget' : fault(push);
    if (pool === undefined || reason !== undefined) {
      const result: ApnsResult = { kind: 'rejected', reason: reason ?? 'UnknownTarget' };
      this.shared.meter.finished(push.environment, result, 0);
      return Promise.resolve(result);
    }
    return pool.send(push);
  }

  ready(target: ApnsTarget): boolean {
    return this.pool(target, 'proven')?.ready(target.topic) ?? false;
  }

  async close(graceMs: number): Promise<void> {
    this.closing = true;
    await Promise.all([...this.pools.values()].map((pool) => pool.close(graceMs)));
  }

  /** The pool of a target, made when it is first asked for; undefined where no key is for it. */
  private pool(target: ApnsTarget, lane: Lane): Pool | undefined {
    const key = this.keys.get(nameOf(target));
    if (key === undefined) return undefined;
    const name = `${target.environment} ${key.teamId} ${key.keyId} ${lane}`;
    const known = this.pools.get(name);
    if (known !== undefined) return known;
    const pool = this.makePool(target.environment, key, lane);
    this.pools.set(name, pool);
    if (this.closing) void pool.close(0);
    return pool;
  }

  private makePool(environment: Environment, key: ApnsKey, lane: Lane): Pool {
    const { clock, endpoints, dial = http2Dial } = this.options;
    const { limits, shared } = this;
    return new Pool({
      ...shared,
      key,
      clock,
      dial: dial(endpoints[environment]!, shared.random),
      limits: lane === 'proven' ? limits : firstContactLimits(limits),
    });
  }
}

const nameOf = (target: ApnsTarget): string => `${target.environment} ${target.topic}`;

function firstContactLimits(limits: ApnsLimits): ApnsLimits {
  const share = (whole: number): number => Math.max(1, Math.floor(whole * FIRST_CONTACT_SHARE));
  return { ...limits, connections: 1, queued: share(limits.queued), streams: share(limits.streams) };
}

/** Which key serves which (environment, topic). */
function keysByTarget({ keys, endpoints }: ApnsEngineOptions): Map<string, ApnsKey> {
  const byTarget = new Map<string, ApnsKey>();
  for (const key of keys) {
    for (const environment of key.environments) {
      if (endpoints[environment] === undefined) throw new RangeError(`no endpoint for ${environment}`);
      for (const topic of key.topics) {
        const name = nameOf({ environment, topic });
        if (byTarget.has(name)) throw new RangeError(`two keys for ${topic} in ${environment}`);
        byTarget.set(name, key);
      }
    }
  }
  return byTarget;
}
