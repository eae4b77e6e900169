/**
 * The answer to a batch: one record as soon as each frame is done, in any order (relay.md §6). Records that are done
 * in the same turn of the event loop leave together. At most 256 records, so nothing needs to be held back.
 */

import { type Answer, encodeAnswers, type Outcome } from '../../../shared/relay/batch.js';

export class AnswerStream {
  readonly body: ReadableStream<Uint8Array>;
  private readonly finished: () => void;
  private begun: (() => void) | undefined;
  private controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  private answers: Answer[] = [];
  private left: number;

  /**
   * @param finished called once, when the last of `count` records was added, also after the reader has gone
   * @param begun called once, when the first records are on their way or none will be
   */
  constructor(count: number, finished: () => void, begun: () => void = () => {}) {
    this.left = count;
    this.finished = finished;
    this.begun = begun;
    this.body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.controller = controller;
      },
      cancel: () => {
        this.controller = undefined;
        this.answers = [];
        this.begin();
      },
    });
    if (count === 0) this.end();
  }

  add(index: number, outcome: Outcome): void {
    if (this.controller !== undefined) {
      this.answers.push({ index, outcome });
      if (this.answers.length === 1) setImmediate(() => this.flush());
    }
    this.left--;
    if (this.left === 0) this.finished();
  }

  private flush(): void {
    if (this.controller === undefined) return;
    const { answers } = this;
    this.answers = [];
    this.controller.enqueue(encodeAnswers(answers));
    if (this.left === 0) this.controller.close();
    this.begin();
  }

  /** In the next turn, when what was put into the stream has reached the socket. */
  private begin(): void {
    const { begun } = this;
    this.begun = undefined;
    if (begun !== undefined) setImmediate(begun);
  }

  private end(): void {
    this.controller?.close();
    this.begin();
    this.finished();
  }
}
