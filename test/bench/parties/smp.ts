/** A messaging server that confirms every NSUB unseen and sends notifications when told. */
import { loadCrypto } from '../../../shared/crypto/load.js';
import type { ServerMessage } from '../../../shared/smp/commands.js';
import { FakeSmp } from '../../support/fake-smp.js';
import { serve } from '../child.js';

const METADATA = new Uint8Array(144).fill(7);

let server: FakeSmp | undefined;
let next = 0;

function message(): ServerMessage {
  return { word: 'NMSG', nonce: server!.crypto.randomBytes(24), metadata: METADATA };
}

const api = {
  async start(): Promise<{ port: number; keyHash: Uint8Array }> {
    server = new FakeSmp({ crypto: await loadCrypto() });
    await server.listen();
    return { port: server.port, keyHash: server.identity.fingerprint };
  },
  /** Notifications to `count` queues, going round through the first `queues`. When they were written. */
  notify(count: number, queues: number): bigint {
    const messages = Array.from({ length: count }, () => ({
      message: message(),
      entityId: server!.queue(next++ % queues).notifierId,
    }));
    server!.last.send(...messages);
    return process.hrtime.bigint();
  },
  /** NSUBs answered so far. */
  subscribed(): number {
    return server!.connections.reduce((sum, connection) => sum + connection.subscribed.length, 0);
  },
};
export type Smp = typeof api;
serve(api);
