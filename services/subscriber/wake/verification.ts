/**
 * Capabilities and proofs (relay.md §4, §5): exchanges a sealed token for a capability, makes verification pushes,
 * has returned codes judged. It never makes a code up, and says that one is wrong only when the gateway said so.
 */
import { boxKey } from '../../../shared/crypto/box.js';
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { wipe } from '../../../shared/encoding/bytes.js';
import { verificationKey } from '../../../shared/push/keys.js';
import { NONCE_SIZE } from '../../../shared/relay/batch.js';
import { encodeVerificationPayload } from '../../../shared/relay/verification.js';
import type { Clock } from '../../../shared/run/clock.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import { GatewayRefusal } from '../outbound/gateway-link.js';
import type { InvalidReason } from '../registry/device.js';
import type { DeviceStates } from '../registry/registry.js';
import type { Held } from './burning.js';
import type { Farewells } from './farewells.js';
import type { wakeMetrics } from './metrics.js';
import type { Flight, Pager } from './pager.js';
import type { Vault } from './vault.js';
import type { ProofResult } from './wake.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Wrong codes an hour, after which the gateway is not asked. */
const MAX_WRONG_CODES = 5;
/** Clients wait 10 s for an answer; better none than a wrong one (design §4.1). */
const PROOF_WAIT_MS = 8_000;
const EXCHANGE_RETRY_MS = 60_000;
/** A capability that no answer has renewed for so long is renewed by itself. */
const RENEW_AFTER_MS = 30 * DAY;
const HASH_KEY_SIZE = 32;

export interface VerificationDeps {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly states: DeviceStates;
  readonly vault: Vault;
  readonly farewells: Farewells;
  readonly metrics: MetricHandles<typeof wakeMetrics>;
  /** Lets the dispatcher look again at what a device has to send. */
  readonly resume: (pager: Pager) => void;
}

export class Verification {
  private readonly deps: VerificationDeps;
  /** Codes are remembered as hashes under this key. */
  readonly hashKey: Uint8Array;

  constructor(deps: VerificationDeps) {
    this.deps = deps;
    this.hashKey = deps.crypto.randomBytes(HASH_KEY_SIZE);
  }

  /** Nonce and payload of a verification push: the key of one box, for the gateway to put a code into. */
  compose(pager: Pager): { nonce: Uint8Array; payload: Uint8Array } {
    const { crypto } = this.deps;
    const nonce = crypto.randomBytes(NONCE_SIZE);
    const keyOf = pager.route.profile === 'porchlight' ? verificationKey : boxKey;
    const key = keyOf(crypto, pager.device.dhSecret);
    const m = crypto.hsalsa20(key, nonce.subarray(0, 16));
    const payload = encodeVerificationPayload(m);
    wipe(key, m);
    return { nonce, payload };
  }

  /** A verification push was accepted: the sealed token is not needed again. */
  delivered(pager: Pager): void {
    const { states } = this.deps;
    states.dropSealedToken(pager.device);
    if (pager.device.status === 'registered') states.setStatus(pager.device, 'confirmed');
  }

  /** Gets the capability that a device lacks; the push that needs it is retried whatever comes of it. */
  async exchange(pager: Pager, flight: Flight): Promise<void> {
    const { states, metrics, resume, clock } = this.deps;
    const sealed = states.sealedToken(pager.device)?.slice();
    if (sealed === undefined) {
      metrics.wake_stopped_total.inc({ cause: 'no-token' });
      pager.land();
      return;
    }
    try {
      const { capability } = await pager.lane.link.exchange(sealed);
      if (isCurrent(pager, flight)) {
        this.keep(pager, capability);
        states.dropSealedToken(pager.device);
      }
      wipe(capability);
    } catch (error) {
      metrics.wake_stopped_total.inc({ cause: 'exchange-failed' });
      const refusal = refusalOf(error);
      if (isCurrent(pager, flight)) {
        const isLost = refusal.code === 'unknown-sealing-key' || refusal.code === 'bad-sealed-token';
        if (isLost) this.invalidate(pager, undefined);
        else pager.postpone('verification', clock.monotonic() + retryMs(refusal));
      }
    } finally {
      wipe(sealed);
    }
    if (!isCurrent(pager, flight)) return;
    pager.land();
    pager.wantsVerification = pager.device.status !== 'invalid';
    resume(pager);
  }

  /** Keeps a new capability instead of the old. */
  keep(pager: Pager, capability: Uint8Array): void {
    pager.secrets = this.deps.vault.keep(pager.secrets, capability);
    pager.renewAt = this.deps.clock.monotonic() + RENEW_AFTER_MS;
  }

  /** Has the capability revoked: the phone leaves, or has another token now. Unproven ones end by themselves in days. */
  giveUp(pager: Pager): void {
    const { vault, farewells } = this.deps;
    const { secrets, lane } = pager;
    if (secrets === undefined || !vault.isProven(secrets)) return;
    farewells.say(lane.link, vault.capability(secrets));
  }

  /** What is to be revoked where everything is; undefined where the device has no proven capability. */
  held(pager: Pager): Held | undefined {
    const { vault } = this.deps;
    const current = (): number | undefined => {
      const { secrets } = pager;
      return secrets !== undefined && vault.isProven(secrets) ? secrets : undefined;
    };
    if (current() === undefined) return undefined;
    return {
      link: pager.lane.link,
      capability: () => {
        const row = current();
        return row === undefined ? undefined : vault.capability(row);
      },
      done: () => this.invalidate(pager, undefined),
    };
  }

  /** Overwrites capability and code hash. */
  drop(pager: Pager): void {
    if (pager.secrets !== undefined) this.deps.vault.drop(pager.secrets);
    pager.secrets = undefined;
    pager.renewAt = Number.POSITIVE_INFINITY;
  }

  /** The gateway takes the capability no longer: a token sealed since is tried, else the client registers again. */
  capabilityRefused(pager: Pager): void {
    const { states } = this.deps;
    if (states.sealedToken(pager.device) === undefined) this.invalidate(pager, undefined);
    else {
      this.drop(pager);
      states.setStatus(pager.device, 'registered');
      pager.wantsVerification = true;
    }
  }

  /** The token is INVALID: its client has to register again. Mailbox and subscriptions stay. */
  invalidate(pager: Pager, reason: InvalidReason | undefined): void {
    const { states, metrics } = this.deps;
    this.drop(pager);
    states.dropSealedToken(pager.device);
    states.setStatus(pager.device, 'invalid', reason);
    pager.wantsVerification = false;
    metrics.wake_invalid_total.inc({ reason: reason ?? 'refused' });
  }

  /** Renews a capability that is old; tries again tomorrow where that fails. */
  async renew(pager: Pager): Promise<void> {
    const { clock, vault } = this.deps;
    const { generation, secrets } = pager;
    pager.renewAt = clock.monotonic() + DAY;
    if (secrets === undefined) return;
    const held = vault.capability(secrets);
    try {
      const renewed = await pager.lane.link.renew(held);
      if (isStill(pager, generation) && pager.secrets === secrets) this.keep(pager, renewed);
      wipe(renewed);
    } catch (error) {
      const isRefused = refusalOf(error).code === 'bad-capability';
      if (isRefused && isStill(pager, generation) && this.isHeld(pager, held))
        this.invalidate(pager, undefined);
    } finally {
      wipe(held);
    }
  }

  /** A refusal of a capability that was replaced while it travelled says nothing of the one that is held. */
  isHeld({ secrets }: Pager, capability: Uint8Array): boolean {
    return secrets !== undefined && this.deps.vault.holds(secrets, capability);
  }

  /** See `WakeEngine.prove`. */
  async prove(pager: Pager, code: Uint8Array): Promise<ProofResult> {
    const { crypto, clock, vault } = this.deps;
    const codeHash = crypto.hmacSha256(this.hashKey, code);
    const isKnown = pager.secrets !== undefined && crypto.equal(vault.codeHash(pager.secrets), codeHash);
    if (isKnown) return this.judged('proven', 'known');
    if (pager.device.status === 'invalid' || pager.device.environment === 'none') return this.judged('wrong');
    if (this.isBlocked(pager)) return this.judged('wrong', 'blocked');
    if (pager.secrets === undefined) return this.judged('unreachable');
    if (pager.proving !== undefined && !crypto.equal(pager.proving.codeHash, codeHash)) {
      return this.judged('unreachable');
    }
    const verdict = pager.proving?.verdict ?? this.ask(pager, pager.secrets, code, codeHash);
    return within(clock, PROOF_WAIT_MS, verdict, 'unreachable' as const);
  }

  /** The gateway's judgement, which counts also where the client no longer waits for it. */
  private ask(pager: Pager, row: number, code: Uint8Array, codeHash: Uint8Array): Promise<ProofResult> {
    const { generation } = pager;
    const held = this.deps.vault.capability(row);
    const copy = code.slice();
    const asked = pager.lane.link.prove(held, copy);
    const verdict = asked
      .then(
        (capability) => this.proven(pager, generation, capability, codeHash),
        (error: unknown) => this.notProven(pager, generation, refusalOf(error)),
      )
      .finally(() => {
        wipe(held, copy);
        if (pager.proving === proving) pager.proving = undefined;
      });
    const proving = { codeHash, verdict };
    pager.proving = proving;
    return verdict;
  }

  private proven(
    pager: Pager,
    generation: number,
    capability: Uint8Array,
    codeHash: Uint8Array,
  ): ProofResult {
    const { states, vault, clock, resume } = this.deps;
    if (isStill(pager, generation)) this.keep(pager, capability);
    wipe(capability);
    if (!isStill(pager, generation)) return this.judged('unreachable');
    vault.codeHash(pager.secrets!).set(codeHash);
    pager.lastProofAt = clock.monotonic();
    pager.wrongCodes = 0;
    states.setStatus(pager.device, 'active');
    states.removeOthers(pager.device);
    resume(pager);
    return this.judged('proven');
  }

  private notProven(pager: Pager, generation: number, refusal: GatewayRefusal): ProofResult {
    if (refusal.code === 'bad-code') {
      this.countWrong(pager);
      return this.judged('wrong');
    }
    if (refusal.code === 'bad-capability' && isStill(pager, generation)) this.invalidate(pager, undefined);
    return this.judged('unreachable');
  }

  private isBlocked(pager: Pager): boolean {
    const isOver = this.deps.clock.monotonic() - pager.wrongSince >= HOUR;
    return !isOver && pager.wrongCodes >= MAX_WRONG_CODES;
  }

  private countWrong(pager: Pager): void {
    const now = this.deps.clock.monotonic();
    if (now - pager.wrongSince >= HOUR) {
      pager.wrongSince = now;
      pager.wrongCodes = 0;
    }
    pager.wrongCodes++;
  }

  private judged(answer: ProofResult, result: ProofResult | 'known' | 'blocked' = answer): ProofResult {
    this.deps.metrics.wake_proofs_total.inc({ result });
    return answer;
  }
}

/** Whether the flight is the pager's present one, to the token that the device still has. */
export const isCurrent = (pager: Pager, flight: Flight): boolean =>
  pager.flight === flight && isStill(pager, flight.generation);

const isStill = (pager: Pager, generation: number): boolean =>
  !pager.isGone && pager.generation === generation && pager.device.generation === generation;

/** Whatever else goes wrong in a link counts as no answer. */
const refusalOf = (error: unknown): GatewayRefusal =>
  error instanceof GatewayRefusal ? error : new GatewayRefusal('no-answer');

const retryMs = ({ retryAfter }: GatewayRefusal): number =>
  retryAfter === undefined ? EXCHANGE_RETRY_MS : Math.max(1, retryAfter) * 1000;

/** The promise's value, or `late` where it takes longer. */
function within<T, L>(clock: Clock, ms: number, promise: Promise<T>, late: L): Promise<T | L> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(ms, () => resolve(late));
    promise.then(resolve, reject).finally(() => timer.cancel());
  });
}
