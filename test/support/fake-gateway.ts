/**
 * A gateway that does what a test tells it, over real HTTPS with a certificate of its own authority. Checks every
 * signature; keeps what came in.
 */
import { X509Certificate } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Crypto, KeyPair } from '../../shared/crypto/crypto.js';
import { createIdentity, toPem } from '../../shared/crypto/x509.js';
import { decodeBatch, encodeAnswer, type Frame, type Outcome } from '../../shared/relay/batch.js';
import { CONTENT_TYPE, PATHS } from '../../shared/relay/constants.js';
import { type GatewayAddress, gatewayFingerprint } from '../../shared/relay/identity.js';
import { PROBLEM_TYPE, PROBLEMS, type ProblemCode, problemBody } from '../../shared/relay/problem.js';
import { contentDigest, parseSignature, verifySignature } from '../../shared/relay/signature.js';
import { type StatementContent, signStatement } from '../../shared/relay/statement.js';

export const ACCEPTED: Outcome = { kind: 'accepted', reason: 'none', after: 0 };

/** One signed request as it came in. */
export interface SeenRequest {
  readonly path: string;
  readonly body: Uint8Array;
  readonly nonce: string;
  readonly created: number;
  /** Frames of a push. */
  readonly frames: readonly Frame[];
  readonly response: ServerResponse;
}

export interface FakeGatewayOptions {
  readonly crypto: Crypto;
  readonly port?: number;
  /** Long-term key; a new one unless given. */
  readonly identity?: KeyPair;
  readonly statement?: Partial<StatementContent>;
  /** Whether the statement vouches for the TLS key, as that of a self-signed gateway does; true unless given. */
  readonly namesTlsKey?: boolean;
  /** What a signed request gets; unless given, pushes are accepted and capabilities granted. */
  readonly handle?: (request: SeenRequest) => void;
}

export interface FakeGateway {
  readonly address: GatewayAddress;
  readonly identity: KeyPair;
  /** PEM of the authority behind the certificate, for those who want to trust it. */
  readonly authority: string;
  readonly seen: SeenRequest[];
  /** Statements handed out. */
  statements: number;
  handle: (request: SeenRequest) => void;
  close(): Promise<void>;
}

/** Unix seconds. */
const now = (): number => Math.floor(Date.now() / 1000);

export async function startFakeGateway(options: FakeGatewayOptions): Promise<FakeGateway> {
  const { crypto } = options;
  const identity = options.identity ?? crypto.ed25519KeyPair();
  const tls = createIdentity({
    algorithm: 'ed25519',
    commonName: 'fake gateway',
    hosts: ['127.0.0.1'],
    now: new Date(),
  });
  const server = createServer({
    cert: toPem('CERTIFICATE', tls.leafCert),
    key: toPem('PRIVATE KEY', tls.leafKey),
  });
  const document = signStatement(crypto, identity, {
    ...statementContent(crypto),
    ...(options.namesTlsKey !== false && { tlsSpki: crypto.sha256(spkiOf(tls.leafCert)) }),
    ...options.statement,
  });
  const fingerprint = gatewayFingerprint(crypto, identity.publicKey);
  const port = await listen(server, options.port ?? 0);
  const gateway: FakeGateway = {
    address: { fingerprint, host: '127.0.0.1', port },
    identity,
    authority: toPem('CERTIFICATE', tls.caCert),
    seen: [],
    statements: 0,
    handle: options.handle ?? grant,
    close: () => close(server),
  };
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    if (request.url !== PATHS.gateway)
      return void receive(crypto, gateway, request, response).catch(() => response.destroy());
    gateway.statements++;
    response.end(document);
  });
  return gateway;
}

function statementContent(crypto: Crypto): StatementContent {
  const limits = { backgroundPerHour: 4, alertPerHour: 12, mutableBurst: 60, mutablePerDay: 2000 };
  const [notBefore, notAfter] = [now() - 3600, now() + 86_400];
  const { publicKey } = crypto.x25519KeyPair();
  return {
    issuedAt: now() - 10,
    validUntil: now() + 86_400,
    apps: [{ topic: 'chat.example', environments: ['test'], profiles: ['simplex'], limits }],
    sealingKeys: [{ keyId: crypto.randomBytes(4), publicKey, notBefore, notAfter }],
  };
}

async function receive(
  crypto: Crypto,
  gateway: FakeGateway,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = new Uint8Array(Buffer.concat(chunks));
  const { headers } = request;
  const parsed = parseSignature(String(headers['signature-input']), String(headers.signature));
  const covered = {
    method: request.method!,
    authority: headers.host!,
    path: request.url!,
    query: '?',
    contentType: String(headers['content-type']),
    contentDigest: String(headers['content-digest']),
    gateway: gateway.address.fingerprint,
  };
  const digest = contentDigest(crypto, body) === covered.contentDigest;
  if (!parsed || !digest || !verifySignature(crypto, parsed, covered))
    return refuse(response, 'bad-signature');
  const nonce = Buffer.from(parsed.nonce).toString('hex');
  const frames = covered.path === PATHS.push ? decodeBatch(body) : [];
  const seen = { path: covered.path, body, nonce, created: parsed.created, frames, response };
  gateway.seen.push(seen);
  gateway.handle(seen);
}

/** Accepts all frames, or answers a capability call with bytes of the right size. */
export function grant(request: SeenRequest): void {
  const { path, frames, response } = request;
  if (path === PATHS.revoke) {
    response.writeHead(204, { 'content-type': CONTENT_TYPE }).end();
    return;
  }
  response.writeHead(200, { 'content-type': CONTENT_TYPE });
  for (const index of frames.keys()) response.write(encodeAnswer(index, ACCEPTED));
  response.end(
    path === PATHS.push ? undefined : new Uint8Array(path === PATHS.capabilities ? 272 : 256).fill(7),
  );
}

export function refuse(
  response: ServerResponse,
  code: ProblemCode,
  headers: Record<string, string> = {},
): void {
  response.writeHead(PROBLEMS[code].status, { 'content-type': PROBLEM_TYPE, ...headers });
  response.end(problemBody(code));
}

const spkiOf = (certificate: Uint8Array): Uint8Array =>
  new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' });

const listen = (server: Server, port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });

const close = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
