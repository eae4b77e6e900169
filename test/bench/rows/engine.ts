/** Row 1: what one push of 4 KB costs the APNs engine, beside two packages and bare node:http2. */
import { generateKeyPairSync } from 'node:crypto';
import { startParty } from '../children.js';
import { type Figure, interleaved, type Row } from '../harness.js';
import type { APNS_CLIENTS, ApnsClientApi, ApnsClientName } from '../parties/apns-client.js';
import { startLeanApns } from '../world/apple.js';

const PUSHES = 4_000;
const ROUNDS = 5;
/** Of an application that sends steadily; apns2 itself keeps 32 at most. */
const IN_FLIGHT = 500;
const CLIENTS = ['ours', 'node-apn', 'apns2', 'bare http2'] as const satisfies typeof APNS_CLIENTS;

export const engine: Row = async () => {
  const apple = await startLeanApns({ delayMs: 0 });
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const signingKey = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  const clients = new Map<ApnsClientName, Awaited<ReturnType<typeof startParty<ApnsClientApi>>>>();
  for (const client of CLIENTS) {
    const party = await startParty<ApnsClientApi>('apns-client');
    await party.call('open', { client, port: apple.port, ca: apple.ca, signingKey });
    clients.set(client, party);
  }
  const { ours, ...peers } = await interleaved(CLIENTS, ROUNDS, async (client) => {
    return (await clients.get(client)!.call('push', PUSHES, IN_FLIGHT)) / PUSHES;
  });
  const row: Figure = {
    row: 'APNs engine, CPU per push of 4 KB',
    value: ours,
    unit: 'µs',
    target: { atMost: 130 },
    peers,
    note: `${PUSHES} pushes, ${IN_FLIGHT} in flight, median of ${ROUNDS} interleaved rounds`,
  };
  const against = { row: 'APNs engine, relative to node-apn', value: ours / peers['node-apn'], unit: '×' };
  return [row, { ...against, target: { atMost: 1 } }];
};
