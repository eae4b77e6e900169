/**
 * Secret bytes that print as a tag. Tokens, keys, queue addresses and capabilities travel as `Secret`s between
 * parts, so that no log line, metric label, error or dump of an object shows them by accident.
 */
const custom = Symbol.for('nodejs.util.inspect.custom');

export class Secret {
  readonly #bytes: Uint8Array;
  readonly tag: string;

  /** Takes over `bytes`: whoever wipes the secret wipes that array. */
  constructor(tag: string, bytes: Uint8Array) {
    this.tag = tag;
    this.#bytes = bytes;
  }

  /** The bytes themselves, not a copy. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Overwrites the bytes; the secret is useless afterwards. */
  wipe(): void {
    this.#bytes.fill(0);
  }

  toString(): string {
    return `[${this.tag}]`;
  }

  toJSON(): string {
    return this.toString();
  }

  [custom](): string {
    return this.toString();
  }
}
