/**
 * Long work in short pieces: one piece a turn of the event loop, whoever it belongs to, so that signing a million
 * subscriptions, or the reconnection of a hundred servers at once, never delays a signal by more than one piece.
 */

/** Does one piece of its work; whether there is more to do now. */
export type Piece = () => boolean;

export class Turns {
  private readonly waiting = new Set<Piece>();
  private running = false;

  /** Asks for a turn. A piece that already waits for one waits once. */
  request(piece: Piece): void {
    this.waiting.add(piece);
    if (!this.running) this.schedule();
  }

  /** Takes the request back. */
  drop(piece: Piece): void {
    this.waiting.delete(piece);
  }

  private schedule(): void {
    this.running = true;
    setImmediate(() => {
      this.running = false;
      const [piece] = this.waiting;
      if (!piece) return;
      this.waiting.delete(piece);
      if (piece()) this.waiting.add(piece); // behind the others
      if (this.waiting.size > 0 && !this.running) this.schedule();
    });
  }
}
