/**
 * The left edge: a source turns one foreign messaging system into wake-ups. It never sees devices, budgets or the
 * gateway. One folder per system; deleting the folder and its line in the composition root must compile.
 */

/**
 * Where a followed address stands.
 * `pending` on its way · `active` confirmed by the server · `inactive` not connected now, coming back by itself ·
 * `end` another subscriber took it · `deleted` · `auth` refused · `service` refused by service rules ·
 * `error` any other refusal, with a word of the closed list of the protocol (never text from a peer).
 */
export type FollowStatus =
  | { readonly kind: 'pending' | 'active' | 'inactive' | 'end' | 'deleted' | 'auth' | 'service' }
  | { readonly kind: 'error'; readonly word: string };

/**
 * What a source tells. `ref` is the number that the follower gave. Calls are synchronous and never block, so that
 * a source may hand over a whole block of signals and read on; back-pressure is the source's, by not reading.
 */
export interface SourceSink {
  status(ref: number, status: FollowStatus): void;
  /** A message waits. The arrays are views into the source's buffers: copy what is kept. */
  signal(ref: number, nonce: Uint8Array, metadata: Uint8Array): void;
  /** The address's connection broke in a way that may have destroyed signals (design §3). */
  maybeMissed(ref: number): void;
}

/** Why an address can't be followed: it names a forbidden network address, or there is no room. */
export type FollowRefusal = 'prohibited' | 'full';

/**
 * @typeParam Address what names the place to listen at
 * @typeParam Credentials what proves the right to listen there; copied, so the caller may wipe its own
 */
export interface Source<Address, Credentials> {
  /**
   * Starts following; returns a handle. What is followed under different `group` numbers shares no connection where
   * the source is set to keep groups apart. Reports `pending` and later statuses through the sink, never
   * before return.
   */
  follow(
    address: Address,
    credentials: Credentials,
    ref: number,
    group?: number,
  ): { handle: number } | { refused: FollowRefusal };
  /** Stops following and overwrites the credentials. The handle may be given out again. */
  unfollow(handle: number): void;
  /** The address as it was given, with the spelling that the client used. Arrays are views, valid while it is followed. */
  address(handle: number): Address;
  /** Whether `address` and `credentials` are those of `handle` (credentials compared in constant time). */
  holds(handle: number, credentials: Credentials): boolean;
  /** Whether a connection to this address's server exists or is kept up already, so that it costs no new one. */
  knowsServer(address: Address): boolean;
  /** Closes all connections; nothing is reported afterwards. */
  close(): Promise<void>;
}
