/** A client of the notification server that can say what no app would. */
import { NtfTestClient } from '../ntf-client.js';
import type { World } from './world.js';

export const connectClient = ({ notificationServer, crypto }: World): Promise<NtfTestClient> =>
  NtfTestClient.connect({
    port: Number(notificationServer.port),
    keyHash: notificationServer.keyHash,
    crypto,
    alpn: ['ntf/1'],
  });
