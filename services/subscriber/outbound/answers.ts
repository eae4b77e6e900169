/**
 * The streamed answer of a push request: records of 272 bytes that arrive in chunks of any size (relay.md §6).
 * Hands each record on as soon as it is whole. Keeps no copy of a record that it has handed on, and takes one for
 * each frame at most: what a gateway can make us read is bounded.
 */
import { type Bytes, wipe } from '../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../shared/encoding/reader.js';
import { ANSWER_SIZE, decodeAnswer, type Outcome } from '../../../shared/relay/batch.js';

export class AnswerStream {
  private readonly partial = new Uint8Array(ANSWER_SIZE);
  private held = 0;
  /** Frames that were answered. */
  private readonly answered: boolean[];
  private readonly answer: (index: number, outcome: Outcome) => void;

  /** @param count frames that were sent */
  constructor(count: number, answer: (index: number, outcome: Outcome) => void) {
    this.answered = new Array<boolean>(count).fill(false);
    this.answer = answer;
  }

  /** Takes the next bytes. Throws `DecodeError` on a record that is none, of no frame, or the second of a frame. */
  feed(chunk: Bytes): void {
    let offset = 0;
    while (offset < chunk.length) {
      if (this.held === 0 && chunk.length - offset >= ANSWER_SIZE) {
        this.record(chunk.subarray(offset, offset + ANSWER_SIZE));
        offset += ANSWER_SIZE;
        continue;
      }
      const piece = chunk.subarray(offset, offset + ANSWER_SIZE - this.held);
      this.partial.set(piece, this.held);
      this.held += piece.length;
      offset += piece.length;
      if (this.held < ANSWER_SIZE) return;
      this.held = 0;
      this.record(this.partial);
    }
  }

  /** Overwrites what was held back: a record may carry a capability. */
  end(): void {
    wipe(this.partial);
    this.held = 0;
  }

  private record(bytes: Bytes): void {
    const { index, outcome } = decodeAnswer(bytes);
    if (this.answered[index] !== false) {
      wipe(outcome.capability);
      throw new DecodeError('answer of no open frame');
    }
    this.answered[index] = true;
    this.answer(index, outcome);
  }
}
