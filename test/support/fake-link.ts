/** A gateway link that sends nothing: pushes wait until the test gives their outcomes, or get one by a rule. */
import type {
  GatewayFacts,
  GatewayLink,
  GatewayRefusal,
} from '../../services/subscriber/outbound/gateway-link.js';
import type { Frame, FrameKind, Outcome } from '../../shared/relay/batch.js';

export const ACCEPTED: Outcome = { kind: 'accepted', reason: 'none', after: 0 };
export const UNAVAILABLE: Outcome = { kind: 'unavailable', reason: 'provider-down', after: 0 };
export const later = (after: number): Outcome => ({ kind: 'later', reason: 'device', after });

/** One push as the link got it; fields are copies. */
export interface SentFrame {
  readonly frame: Frame;
  readonly answer: (outcome: Outcome) => void;
}

const filled = (size: number, byte: number): Uint8Array => new Uint8Array(size).fill(byte);

/** Capabilities are named by the byte they are full of. */
export const capability = (name: number): Uint8Array => filled(256, name);

export class FakeLink implements GatewayLink {
  facts: GatewayFacts | undefined = undefined;
  available = true;
  /** Gives an outcome at once; without it (or where it gives none) pushes wait for `answer`. */
  rule: ((frame: Frame) => Outcome | undefined) | undefined;
  readonly sent: SentFrame[] = [];
  /** Sealed tokens exchanged, by their first byte. */
  readonly exchanged: number[] = [];
  readonly renewed: number[] = [];
  readonly revoked: number[] = [];
  /** What a revocation waits for, or rejects with. */
  revocation: (() => Promise<void>) | undefined;
  /** Instead of a capability. */
  exchangeRefusal: GatewayRefusal | undefined;
  renewRefusal: GatewayRefusal | undefined;
  /** Names of the capabilities to come. */
  nextCapability = 1;
  /** What becomes of codes; unless set they wait in `pendingProofs` for a capability. */
  judge: ((capabilityName: number, code: Uint8Array) => 'good' | GatewayRefusal) | undefined;
  proofsAsked = 0;
  readonly pendingProofs: ((capability: Uint8Array) => void)[] = [];
  private readonly listeners: (() => void)[] = [];

  onAvailable(listener: () => void): void {
    this.listeners.push(listener);
  }

  setAvailable(available: boolean): void {
    this.available = available;
    if (available) for (const listener of this.listeners) listener();
  }

  async exchange(sealedToken: Uint8Array): Promise<{ capability: Uint8Array; deviceTag: Uint8Array }> {
    this.exchanged.push(sealedToken[0]!);
    if (this.exchangeRefusal !== undefined) throw this.exchangeRefusal;
    return { capability: capability(this.nextCapability++), deviceTag: filled(16, 0) };
  }

  prove(held: Uint8Array, code: Uint8Array): Promise<Uint8Array> {
    this.proofsAsked++;
    const judged = this.judge?.(held[0]!, code);
    if (judged === undefined) {
      return new Promise((resolve) => {
        this.pendingProofs.push(resolve);
      });
    }
    return judged === 'good' ? Promise.resolve(capability(this.nextCapability++)) : Promise.reject(judged);
  }

  async renew(held: Uint8Array): Promise<Uint8Array> {
    this.renewed.push(held[0]!);
    if (this.renewRefusal !== undefined) throw this.renewRefusal;
    return capability(this.nextCapability++);
  }

  async revoke(held: Uint8Array): Promise<void> {
    this.revoked.push(held[0]!);
    await this.revocation?.();
  }

  push(frame: Frame): Promise<Outcome> {
    const copy = { ...frame, capability: frame.capability.slice(), payload: frame.payload.slice() };
    const outcome = this.rule?.(copy);
    return new Promise((resolve) => {
      this.sent.push({ frame: copy, answer: resolve });
      if (outcome !== undefined) resolve(outcome);
    });
  }

  async askStatement(): Promise<'accepted'> {
    return 'accepted';
  }

  async hello(): Promise<{ kind: 'done' }> {
    return { kind: 'done' };
  }

  async close(): Promise<void> {}

  /** How many pushes of a kind were handed over. */
  count(kind: FrameKind): number {
    return this.sent.filter(({ frame }) => frame.kind === kind).length;
  }
}
