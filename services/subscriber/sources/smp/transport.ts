/** The way of blocks to one server and back, whatever carries it. Sessions and handshakes know only this. */

/** What a transport tells. `block` gets an array of its own that nobody else writes to. */
export interface TransportEvents {
  block(block: Uint8Array): void;
  /** All that was sent has gone to the network. */
  drained(): void;
  /** Any bytes at all came: the peer lives. */
  heard(): void;
  /**
   * The connection is gone, and not because `close` was called. Comes once, and last.
   * @param broken we ended it, for the peer sent what can be no block
   */
  closed(broken?: boolean): void;
}

export interface Transport {
  /** "tls-unique": the client's Finished message (guide B.5). */
  readonly sessionId: Uint8Array;
  /** Certificates of the peer as TLS showed them, leaf first, DER. */
  readonly chain: readonly Uint8Array[];
  /** Whether the peer asked for a certificate of ours. */
  readonly asksCertificate: boolean;
  /** Starts reading, and tells everything to `events` from now on; also replaces who is told. */
  listen(events: TransportEvents): void;
  /** Stops reading, so that the peer is slowed down by TCP; `listen` starts it again. */
  pause(): void;
  /** Sends one block; false when the peer does not keep up: send the next after `drained`. */
  send(block: Uint8Array): boolean;
  /** Ends the connection at once. Nothing is told afterwards. */
  close(): void;
}

/** Where and how to connect. */
export interface DialOptions {
  readonly host: string;
  readonly port: number;
  /** The fingerprint that is expected there. */
  readonly keyHash: Uint8Array;
  /** Present the service's certificate, if the peer asks for one. */
  readonly asService?: boolean;
  /** Connections with other names must not share a way through the proxy. */
  readonly circuit?: string | undefined;
  /** Told when the network's connection stands, before TLS. */
  readonly connected?: (() => void) | undefined;
}

/** Opens a transport, up to a finished TLS handshake; no later than `signal` it gives up. */
export type Dial = (options: DialOptions, signal: AbortSignal) => Promise<Transport>;
