/** One process could not take over from another, which serves on. Carries a closed word or phrase. */
export class HandOverError<R extends string = string> extends Error {
  override readonly name = 'HandOverError';
  readonly reason: R;

  constructor(reason: R) {
    super(reason);
    this.reason = reason;
  }
}
