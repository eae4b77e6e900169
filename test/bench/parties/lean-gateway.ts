/** The lean gateway: a valid statement, and every request granted. Checks nothing, so that only its peer is measured. */
import { type KeyObject, X509Certificate } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { loadCrypto } from '../../../shared/crypto/load.js';
import { createServerCertificate, toPem } from '../../../shared/crypto/x509.js';
import { BATCH_HEADER_SIZE, encodeAnswer, FRAME_KINDS, FRAME_SIZE } from '../../../shared/relay/batch.js';
import { CONTENT_TYPE, PATHS } from '../../../shared/relay/constants.js';
import { formatGatewayAddress, gatewayFingerprint } from '../../../shared/relay/identity.js';
import { signStatement } from '../../../shared/relay/statement.js';
import { seconds, systemClock } from '../../../shared/run/clock.js';
import { emit, serve } from '../child.js';

/** Message frames that came in. */
export type LeanGatewayEvent = { readonly kind: 'count'; readonly requests: number };

const KIND_AT = 16;
const MESSAGE = FRAME_KINDS.indexOf('message');
const LIMITS = { backgroundPerHour: 4, alertPerHour: 12, mutableBurst: 60, mutablePerDay: 2000 };

const accepted = (index: number): Uint8Array =>
  encodeAnswer(index, { kind: 'accepted', reason: 'none', after: 0 });

function push(body: Buffer, response: ServerResponse): void {
  const frames = (body.length - BATCH_HEADER_SIZE) / FRAME_SIZE;
  let messages = 0;
  const answers: Uint8Array[] = [];
  for (let i = 0; i < frames; i++) {
    answers.push(accepted(i));
    if (body[BATCH_HEADER_SIZE + i * FRAME_SIZE + KIND_AT] === MESSAGE) messages++;
  }
  response.end(Buffer.concat(answers));
  if (messages > 0) emit({ kind: 'count', requests: messages } satisfies LeanGatewayEvent);
}

async function answer(request: IncomingMessage, response: ServerResponse, statement: string): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  if (request.url === PATHS.gateway) {
    response.end(statement);
    return;
  }
  response.writeHead(200, { 'content-type': CONTENT_TYPE });
  if (request.url === PATHS.push) push(Buffer.concat(chunks), response);
  else response.end(Buffer.alloc(request.url === PATHS.capabilities ? 272 : 256, 7));
}

const api = {
  /** Returns its address. */
  async start(topic: string): Promise<string> {
    const crypto = await loadCrypto();
    const made = createServerCertificate({ host: '127.0.0.1', now: new Date() });
    const cert = toPem('CERTIFICATE', made.certificate);
    const key: KeyObject = new X509Certificate(made.certificate).publicKey;
    const identity = crypto.ed25519KeyPair();
    const now = seconds(systemClock);
    const sealing = { keyId: crypto.randomBytes(4), publicKey: crypto.x25519KeyPair().publicKey };
    const statement = signStatement(crypto, identity, {
      issuedAt: now - 10,
      validUntil: now + 86_400,
      tlsSpki: crypto.sha256(key.export({ type: 'spki', format: 'der' })),
      apps: [{ topic, environments: ['test'], profiles: ['simplex'], limits: LIMITS }],
      sealingKeys: [{ ...sealing, notBefore: now - 3600, notAfter: now + 86_400 }],
    });
    const server = createServer({ cert, key: toPem('PRIVATE KEY', made.privateKey) });
    server.keepAliveTimeout = 120_000;
    server.on('request', (request, response) => void answer(request, response, statement));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const fingerprint = gatewayFingerprint(crypto, identity.publicKey);
    return formatGatewayAddress({ fingerprint, host: '127.0.0.1', port });
  },
};
export type LeanGateway = typeof api;
serve(api);
