/** A problem that the person who typed the command can mend; the message says how. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
