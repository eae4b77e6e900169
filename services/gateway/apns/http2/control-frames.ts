/**
 * Small frames that wait to be written, before any push: acknowledgements, resets, window updates. A peer that asks for
 * more of them than it reads ends its connection.
 */
import { Http2Error } from './protocol.js';

/** Resets of a thousand streams at once fit well. */
const MAX_WAITING = 64 * 1024;

export class ControlFrames {
  private frames: Buffer[] = [];
  private size = 0;

  /** Throws `Http2Error` when too many wait. */
  add(frame: Buffer): void {
    if (this.size + frame.length > MAX_WAITING) throw new Http2Error('ENHANCE_YOUR_CALM');
    this.frames.push(frame);
    this.size += frame.length;
  }

  /** Writes as many whole frames as there is room for; returns the offset behind them. */
  write(out: Buffer, at: number): number {
    let written = 0;
    let end = at;
    for (const frame of this.frames) {
      if (end + frame.length > out.length) break;
      end += frame.copy(out, end);
      written++;
    }
    if (written > 0) this.frames = this.frames.slice(written);
    this.size -= end - at;
    return end;
  }
}
