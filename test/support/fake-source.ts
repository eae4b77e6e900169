/**
 * A source whose addresses are short texts (`server/queue`) and whose credentials are one byte: does nothing by
 * itself, remembers what is followed, and lets a test report statuses and signals.
 */

import type { AddressForm } from '../../services/subscriber/registry/registry.js';
import type {
  FollowRefusal,
  FollowStatus,
  Source,
  SourceSink,
} from '../../services/subscriber/sources/source.js';
import { utf8 } from '../../shared/encoding/bytes.js';

export const fakeForm: AddressForm<string> = {
  encode: utf8,
  serverOf: (address) => address.charCodeAt(0),
};

interface Followed {
  readonly address: string;
  readonly key: number;
  readonly ref: number;
  readonly group: number | undefined;
}

export class FakeSource implements Source<string, number> {
  readonly followed = new Map<number, Followed>();
  /** Set to let `follow` refuse. */
  refusal: FollowRefusal | undefined;
  private readonly sink: SourceSink;
  private nextHandle = 1000;

  constructor(sink: SourceSink) {
    this.sink = sink;
  }

  follow(
    address: string,
    key: number,
    ref: number,
    group?: number,
  ): { handle: number } | { refused: FollowRefusal } {
    if (this.refusal !== undefined) return { refused: this.refusal };
    const handle = this.nextHandle++;
    this.followed.set(handle, { address, key, ref, group });
    return { handle };
  }

  unfollow(handle: number): void {
    if (!this.followed.delete(handle)) throw new Error('unknown handle');
  }

  address(handle: number): string {
    return this.followed.get(handle)!.address;
  }

  holds(handle: number, key: number): boolean {
    return this.followed.get(handle)!.key === key;
  }

  knowsServer(address: string): boolean {
    return [...this.followed.values()].some((f) => f.address[0] === address[0]);
  }

  async close(): Promise<void> {}

  report(ref: number, kind: Exclude<FollowStatus['kind'], 'error'>): void {
    this.sink.status(ref, { kind });
  }
}
