/** What the gateway says about itself: signed anew every ten minutes, the same on all replicas in between. */
import type { Crypto, KeyPair } from '../../shared/crypto/crypto.js';
import { type GatewayApp, signStatement } from '../../shared/relay/statement.js';
import { type Clock, seconds } from '../../shared/run/clock.js';
import type { App } from './apps.js';
import type { SealingKeys } from './capabilities/sealing-keys.js';
import { ADVERTISED_CAPS } from './limits/caps.js';

/** `issuedAt` moves in steps, or a reader that saw one replica's would refuse another's as older. */
const STEP_SECONDS = 600;
const VALID_SECONDS = 24 * 3600;

export interface StatementsOptions {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly identity: KeyPair;
  readonly apps: readonly App[];
  readonly sealingKeys: SealingKeys;
  /** SHA-256 of the SPKI of the certificate shown; absent behind a proxy. */
  readonly tlsSpki: Uint8Array | undefined;
}

export class Statements {
  private readonly options: StatementsOptions;
  private document = '';
  private issuedAt = -1;

  constructor(options: StatementsOptions) {
    this.options = options;
  }

  /** The document of `GET /v1/gateway`. */
  current(): string {
    const issuedAt = Math.floor(seconds(this.options.clock) / STEP_SECONDS) * STEP_SECONDS;
    if (issuedAt === this.issuedAt) return this.document;
    const { crypto, identity, sealingKeys, tlsSpki } = this.options;
    this.document = signStatement(crypto, identity, {
      issuedAt,
      validUntil: issuedAt + VALID_SECONDS,
      ...(tlsSpki && { tlsSpki }),
      apps: this.options.apps.map(describe),
      sealingKeys: sealingKeys.advertised(),
    });
    this.issuedAt = issuedAt;
    return this.document;
  }
}

function describe(app: App): GatewayApp {
  return {
    topic: app.topic,
    environments: [...app.environments],
    profiles: [app.profileName],
    limits: ADVERTISED_CAPS,
  };
}
