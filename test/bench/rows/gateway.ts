/** Row 2: what a push costs the whole gateway, from the signed request to the answer. */
import { join } from 'node:path';
import { EPOCHS_FOLDER } from '../../../services/gateway/burn.js';
import { type CapabilityFields, sealCapability } from '../../../services/gateway/capabilities/capability.js';
import { Epochs } from '../../../services/gateway/capabilities/epochs.js';
import { KeyFolder } from '../../../services/gateway/capabilities/key-folder.js';
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../shared/crypto/load.js';
import { utf8 } from '../../../shared/encoding/bytes.js';
import { appTag, subscriberTag } from '../../../shared/relay/identity.js';
import { seconds, systemClock } from '../../../shared/run/clock.js';
import { silentLog } from '../../../shared/run/log.js';
import { startParty } from '../children.js';
import { median, type Row } from '../harness.js';
import type { RelayDriver } from '../parties/relay-driver.js';
import { startLeanApns } from '../world/apple.js';
import { prepareGateway, TOPIC } from '../world/services.js';

/** Each may get 60 pushes at once. */
const DEVICES = 700;
const PUSHES = 6_000;
const ROUNDS = 5;
const BUSY = 512;
const SINGLE_PUSHES = 1_000;
/** Three requests at a time never make the link gather frames. */
const SINGLE = 3;

export const gateway: Row = async () => {
  const crypto = await loadCrypto();
  const apple = await startLeanApns({ delayMs: 0 });
  const prepared = await prepareGateway(apple);
  const identity = crypto.randomBytes(32);
  const capabilities = provenCapabilities(crypto, join(prepared.folder, 'state'), identity);
  const process = await prepared.start();
  const driver = await startParty<RelayDriver>('relay-driver');
  await driver.call('open', { address: prepared.address, seed: identity, capabilities });
  const measure = async (pushes: number, inFlight: number): Promise<number> => {
    const before = await process.usage();
    await driver.call('push', pushes, inFlight);
    return ((await process.usage()).cpuMicros - before.cpuMicros) / pushes;
  };
  await measure(PUSHES / 2, BUSY);
  const busy: number[] = [];
  for (let round = 0; round < ROUNDS; round++) busy.push(await measure(PUSHES, BUSY));
  const single = await measure(SINGLE_PUSHES, SINGLE);
  return [
    {
      row: 'gateway, whole path, CPU per push',
      value: median(busy),
      unit: 'µs',
      target: { atMost: 170 },
      note: `${PUSHES} pushes by the real link over TLS, ${BUSY} in flight, median of ${ROUNDS} rounds`,
    },
    {
      row: 'gateway, one push a request, CPU per push',
      value: single,
      unit: 'µs',
      note: 'what an idle line costs',
    },
  ];
};

/** As if their phones had answered: sealed under the key that the gateway will find in its state folder. */
function provenCapabilities(crypto: Crypto, state: string, seed: Uint8Array): Uint8Array[] {
  const folder = new KeyFolder(join(state, EPOCHS_FOLDER), 'epoch root');
  const epochs = new Epochs({ crypto, clock: systemClock, log: silentLog, folder });
  const epoch = epochs.current();
  const now = seconds(systemClock);
  const common: Omit<CapabilityFields, 'id' | 'token'> = {
    proven: true,
    environment: 'test',
    appTag: appTag(crypto, TOPIC),
    subscriberTag: subscriberTag(crypto, crypto.ed25519KeyPair(seed).publicKey),
    createdAt: now,
    issued: now,
    provenAt: now,
    expires: now + 86_400,
    ownerKey: new Uint8Array(32),
  };
  const capabilities = Array.from({ length: DEVICES }, (_, i) => {
    const token = utf8(i.toString(16).padStart(64, '0'));
    return sealCapability(crypto, epoch, { ...common, id: crypto.randomBytes(16), token });
  });
  epochs.close();
  return capabilities;
}
