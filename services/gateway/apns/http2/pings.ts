/** PINGs that were asked for and not answered (RFC 9113 §6.7). */

const SIZE = 8;
/** The pool asks once at a time; more than this are not answered. */
const MAX_OPEN = 16;

export class Pings {
  private readonly open = new Map<bigint, () => void>();
  private next = 0n;

  /** The payload of the next PING; undefined where too many are open. */
  begin(pong: () => void): Buffer | undefined {
    if (this.open.size >= MAX_OPEN) return undefined;
    const payload = Buffer.alloc(SIZE);
    payload.writeBigUInt64BE(this.next);
    this.open.set(this.next++, pong);
    return payload;
  }

  /** Of an acknowledgement; what was never asked for is nothing. */
  end(payload: Buffer): void {
    const id = payload.readBigUInt64BE();
    const pong = this.open.get(id);
    this.open.delete(id);
    pong?.();
  }
}
