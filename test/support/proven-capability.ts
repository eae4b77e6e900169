/** A proven device's capability, made with the gateway's own epoch instead of a verification push. */
import { sealCapability } from '../../services/gateway/capabilities/capability.js';
import type { Epochs } from '../../services/gateway/capabilities/epochs.js';
import type { Crypto } from '../../shared/crypto/crypto.js';
import { utf8 } from '../../shared/encoding/bytes.js';
import { appTag, subscriberTag } from '../../shared/relay/identity.js';
import { seconds, systemClock } from '../../shared/run/clock.js';

export interface ProvenDevice {
  readonly topic: string;
  /** Of the subscriber. */
  readonly publicKey: Uint8Array;
  /** In the environment `test`. */
  readonly token: string;
}

export function provenCapability(crypto: Crypto, epochs: Epochs, device: ProvenDevice): Uint8Array {
  const now = seconds(systemClock);
  return sealCapability(crypto, epochs.current(), {
    proven: true,
    environment: 'test',
    appTag: appTag(crypto, device.topic),
    subscriberTag: subscriberTag(crypto, device.publicKey),
    id: crypto.randomBytes(16),
    createdAt: now,
    issued: now,
    provenAt: now,
    expires: now + 86_400,
    ownerKey: new Uint8Array(32),
    token: utf8(device.token),
  });
}
