/**
 * The answer to a batch: one record as soon as each frame is done, in any order (relay.md §6). Records that are done
 * in the same turn of the event loop leave together. At most 256 records, so nothing needs to be held back.
 */
import { type Answer, encodeAnswers, type Outcome } from '../../../shared/relay/batch.js';

/** Where the records go: the body of an HTTP response. */
export interface AnswerSink {
  /** Its reader has gone. */
  readonly destroyed: boolean;
  write(records: Uint8Array): unknown;
  end(): unknown;
}

export class AnswerStream {
  private readonly sink: AnswerSink;
  private readonly finished: () => void;
  private answers: Answer[] = [];
  private left: number;

  /** @param finished called once, when the last of `count` records was added, also after the reader has gone */
  constructor(count: number, sink: AnswerSink, finished: () => void) {
    this.left = count;
    this.sink = sink;
    this.finished = finished;
    if (count > 0) return;
    sink.end();
    finished();
  }

  add(index: number, outcome: Outcome): void {
    this.answers.push({ index, outcome });
    if (this.answers.length === 1) setImmediate(() => this.flush());
    this.left--;
    if (this.left === 0) this.finished();
  }

  private flush(): void {
    const { answers, sink } = this;
    this.answers = [];
    if (sink.destroyed) return;
    sink.write(encodeAnswers(answers));
    if (this.left === 0) sink.end();
  }
}
