/**
 * The endpoints (relay.md §6), as a hono app that needs no socket. Every failure is a problem of the closed list;
 * no answer contains data of a request, whatever goes wrong.
 */
import type { HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { type Context, Hono } from 'hono';
import { wipe } from '../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../shared/encoding/reader.js';
import { CAPABILITY_SIZE, decodeBatch } from '../../../shared/relay/batch.js';
import { CONTENT_TYPE, PATHS } from '../../../shared/relay/constants.js';
import { PROBLEM_TYPE, PROBLEMS, type ProblemCode, problemBody } from '../../../shared/relay/problem.js';
import { CODE_SIZE } from '../../../shared/relay/verification.js';
import type { Clock } from '../../../shared/run/clock.js';
import type { Log } from '../../../shared/run/log.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import type { Capabilities } from '../capabilities/capabilities.js';
import type { Revoking } from '../capabilities/revoking.js';
import { type Addresses, isCommonBlock } from '../limits/addresses.js';
import type { Subscribers } from '../limits/subscribers.js';
import type { EndpointName, gatewayMetrics } from '../metrics.js';
import type { Pusher } from '../push/pusher.js';
import { type Admission, type Admitted, Refusal } from './admission.js';
import { AnswerStream } from './answer-stream.js';
import { readBody } from './body.js';
import type { ClientAddresses } from './client-address.js';

export interface RoutesOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: MetricHandles<typeof gatewayMetrics>;
  readonly addresses: Addresses;
  readonly clients: ClientAddresses;
  readonly admission: Admission;
  readonly capabilities: Capabilities;
  readonly revoking: Revoking;
  readonly subscribers: Subscribers;
  readonly pusher: Pusher;
  /** The signed statement. Throws where it can't be made. */
  readonly statement: () => string;
}

/** `pool`: the common pool that all requests of a listener belong to. */
type Env = { Bindings: Pick<HttpBindings, 'outgoing'> & Partial<HttpBindings> & { readonly pool?: string } };
type Call = (admitted: Admitted) => Uint8Array | ProblemCode;

export function createRoutes(options: RoutesOptions): Hono<Env> {
  const app = new Hono<Env>();
  const { capabilities } = options;
  app.get('/healthz', (c) => c.text('ok\n'));
  app.get(PATHS.gateway, (c) => answering(options, c, 'gateway', async () => statement(options, c)));
  const post = (path: string, endpoint: EndpointName, call: Call): void => {
    app.post(path, (c) => answering(options, c, endpoint, () => exchange(options, c, call)));
  };
  post(PATHS.capabilities, 'capabilities', ({ body, signer }) => capabilities.exchange(body, signer.tag));
  post(PATHS.prove, 'prove', (admitted) => prove(options, admitted));
  post(PATHS.renew, 'renew', ({ body, signer }) => capabilities.renew(body, signer.tag));
  app.post(PATHS.revoke, (c) => answering(options, c, 'revoke', () => revoke(options, c)));
  app.post(PATHS.push, (c) => answering(options, c, 'push', () => push(options, c)));
  app.notFound((c) => c.body(null, 404));
  app.onError((_, c) => {
    options.log.error('request failed');
    return problem(options, c, 'unavailable');
  });
  return app;
}

/** Runs one endpoint, counts it, and turns refusals into problems. */
async function answering(
  options: RoutesOptions,
  c: Context<Env>,
  endpoint: EndpointName,
  run: () => Promise<Response>,
): Promise<Response> {
  try {
    const response = await run();
    options.metrics.requests_total.inc({ endpoint, code: 'ok' });
    return response;
  } catch (error) {
    const refusal = error instanceof Refusal ? error : undefined;
    const malformed = error instanceof DecodeError;
    const code = refusal?.code ?? (malformed ? 'bad-request' : 'unavailable');
    if (refusal === undefined && !malformed) options.log.error('request failed', { name: endpoint });
    options.metrics.requests_total.inc({ endpoint, code });
    return problem(options, c, code, refusal?.retryAfter);
  }
}

/** In a common pool for everybody, whatever strangers in it did: who has proven a device needs it too. */
function statement(options: RoutesOptions, c: Context<Env>): Response {
  const block = blockOf(options, c);
  const blocked = isCommonBlock(block) ? 0 : options.addresses.blockedSeconds(block);
  if (blocked > 0) throw new Refusal('rate', blocked);
  return c.body(options.statement(), 200, headers(options, 'application/json'));
}

/** A capability endpoint: one small body in, one small body out. */
async function exchange(options: RoutesOptions, c: Context<Env>, call: Call): Promise<Response> {
  const admitted = await admit(options, c);
  try {
    const answer = call(admitted);
    if (typeof answer === 'string') throw new Refusal(answer);
    return c.body(answer as Uint8Array<ArrayBuffer>, 200, headers(options, CONTENT_TYPE));
  } finally {
    wipe(admitted.body);
    admitted.leave();
  }
}

/** capability[256] + code[32]. Who proves a device is no newcomer any more. */
function prove(options: RoutesOptions, { body, signer }: Admitted): Uint8Array | ProblemCode {
  if (body.length !== CAPABILITY_SIZE + CODE_SIZE) throw new DecodeError('body size');
  const capability = body.subarray(0, CAPABILITY_SIZE);
  const answer = options.capabilities.prove(capability, body.subarray(CAPABILITY_SIZE), signer.tag);
  if (typeof answer !== 'string') options.subscribers.establish(signer.tagText);
  return answer;
}

/** capability[256], or the owner's sealed revocation[293]. */
async function revoke(options: RoutesOptions, c: Context<Env>): Promise<Response> {
  const { body, signer, leave } = await admit(options, c);
  try {
    const refusal = await options.revoking.revoke(body, signer);
    if (refusal !== undefined) throw new Refusal(refusal.code, refusal.retryAfter);
    return c.body(null, 204, headers(options, CONTENT_TYPE));
  } finally {
    wipe(body);
    leave();
  }
}

async function push(options: RoutesOptions, c: Context<Env>): Promise<Response> {
  const { body, signer, leave } = await admit(options, c);
  const done = (): void => {
    wipe(body);
    leave();
  };
  let frames: ReturnType<typeof decodeBatch>;
  try {
    frames = decodeBatch(body);
  } catch (error) {
    done();
    throw error;
  }
  // Node sends the headers with the first records, and the last records with the end: one write for a single push.
  const { outgoing } = c.env;
  outgoing.writeHead(200, headers(options, CONTENT_TYPE));
  const stream = new AnswerStream(frames.length, outgoing, done);
  for (const [index, frame] of frames.entries()) {
    options.pusher.push(frame, signer, (outcome) => stream.add(index, outcome));
  }
  return RESPONSE_ALREADY_SENT;
}

function admit(options: RoutesOptions, c: Context<Env>): Promise<Admitted> {
  const url = new URL(c.req.url);
  return options.admission.admit({
    method: c.req.method,
    path: url.pathname,
    query: url.search,
    header: (name) => c.req.header(name),
    body: (length) => bodyOf(c, length),
    block: blockOf(options, c),
  });
}

/** Requests without a socket, as in tests, have their body whole. */
async function bodyOf(c: Context<Env>, length: number): Promise<Uint8Array> {
  const incoming = c.env?.incoming;
  return incoming ? readBody(incoming, length) : new Uint8Array(await c.req.arrayBuffer());
}

/** The same count as loopback. */
const blockOf = ({ clients }: RoutesOptions, c: Context<Env>): string =>
  c.env?.pool ?? clients.blockOf(c.env?.incoming?.socket.remoteAddress, c.req.header('x-forwarded-for'));

function problem(options: RoutesOptions, c: Context<Env>, code: ProblemCode, retryAfter?: number): Response {
  return c.body(problemBody(code), PROBLEMS[code].status, {
    ...headers(options, PROBLEM_TYPE),
    ...(retryAfter !== undefined && { 'retry-after': String(retryAfter) }),
  });
}

/** The Date is this clock's: a subscriber whose own is wrong corrects itself by it (relay.md §2). */
const headers = (options: RoutesOptions, type: string): Record<string, string> => ({
  'content-type': type,
  'cache-control': 'no-store',
  date: new Date(options.clock.now()).toUTCString(),
});
