/** Subscription statuses in two bytes: a kind, and for `error` the number of its word in a bounded table. */
import type { FollowStatus } from '../sources/source.js';

const KINDS = ['pending', 'active', 'inactive', 'end', 'deleted', 'auth', 'service', 'error'] as const;
const ERROR = KINDS.indexOf('error');

/** More words than the protocol's closed list has; what comes beyond them is stored as the first. */
const MAX_WORDS = 256;
const OTHER_WORD = 'INTERNAL';

export class StatusWords {
  private readonly words: string[] = [OTHER_WORD];
  private readonly numbers = new Map<string, number>([[OTHER_WORD, 0]]);

  encode(status: FollowStatus): { kind: number; word: number } {
    if (status.kind !== 'error') return { kind: KINDS.indexOf(status.kind), word: 0 };
    return { kind: ERROR, word: this.number(status.word) };
  }

  decode(kind: number, word: number): FollowStatus {
    const name = KINDS[kind]!;
    return name === 'error' ? { kind: name, word: this.words[word]! } : { kind: name };
  }

  private number(word: string): number {
    const known = this.numbers.get(word);
    if (known !== undefined) return known;
    if (this.words.length === MAX_WORDS) return 0;
    this.numbers.set(word, this.words.length);
    return this.words.push(word) - 1;
  }
}
