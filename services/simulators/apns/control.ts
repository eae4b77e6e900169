/**
 * The control plane: plain HTTP on a loopback port, JSON in and out, for demos, tests in other languages and
 * simulated phones. Every route is a POST, so that no device token is ever part of a URL.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { z } from 'zod';
import { ENVIRONMENTS } from '../../../shared/relay/identity.js';
import { VirtualClock } from '../../../shared/run/clock.js';
import { BusyError } from './deliveries.js';
import { DeviceError } from './devices.js';
import { type FaultRule, ScriptError } from './script.js';
import type { ApnsSimulator } from './server.js';

const MAX_BODY = 64 * 1024;
const MAX_WAIT_MS = 60_000;

const environment = z.enum(ENVIRONMENTS);
const text = z.string().max(400);
const count = z.int().min(0).max(1_000_000_000);
const device = z.strictObject({ environment, token: text });
const processed = z.boolean().optional();

const fault = z.union([
  z.strictObject({ latencyMs: count }),
  z.strictObject({
    answer: z.strictObject({
      status: z.int().min(200).max(599),
      reason: text,
      retryAfterSeconds: count.optional(),
    }),
  }),
  z.strictObject({ reset: z.enum(['refused', 'cancel', 'internal']), processed }),
  z.strictObject({ stall: z.literal(true), processed }),
  z.strictObject({ cut: z.literal(true), processed }),
  z.strictObject({ silence: z.literal(true) }),
  z.strictObject({
    goaway: z.strictObject({ reason: text.optional(), back: count.optional(), code: count.optional() }),
  }),
  z.strictObject({ refuse: z.literal(true) }),
]);

const rule = z.strictObject({
  on: z.enum(['push', 'connection']),
  topic: text.optional(),
  token: text.optional(),
  skip: count.optional(),
  every: count.min(1).optional(),
  times: count.optional(),
  fault,
});

const query = z.strictObject({
  after: count.optional(),
  environment: environment.optional(),
  token: text.optional(),
  step: z.enum(['delivered', 'stored', 'held', 'replaced', 'expired', 'dropped']).optional(),
  waitMs: count.max(MAX_WAIT_MS).optional(),
});

/** What a route answers: JSON of it, or 204 where there is nothing to say. */
type Route = (body: unknown, simulator: ApnsSimulator) => unknown;

function route<S extends z.ZodType>(
  schema: S,
  run: (input: z.output<S>, simulator: ApnsSimulator) => unknown,
): Route {
  return (body, simulator) => {
    const input = schema.safeParse(body);
    if (!input.success) throw new BadRequest(400, 'bad request');
    return run(input.data, simulator);
  };
}

const nothing = z.strictObject({});
const time = z.strictObject({ environment, token: text, at: count.max(Number.MAX_SAFE_INTEGER).optional() });

/** All routes with the shape of their bodies. */
export const ROUTES: Readonly<Record<string, Route>> = {
  '/devices/register': route(
    z.strictObject({
      environment,
      topic: text,
      token: text.optional(),
      tokenBytes: z.int().min(1).max(200).optional(),
      online: z.boolean().optional(),
    }),
    (input, { devices }) => ({ token: devices.register(input).token }),
  ),
  '/devices/unregister': route(time, (input, { devices, clock }) => {
    found(devices.find(input.environment, input.token)).gone = {
      reason: 'Unregistered',
      at: input.at ?? clock.now(),
    };
  }),
  '/devices/expire': route(time, (input, { devices, clock }) => {
    found(devices.find(input.environment, input.token)).gone = {
      reason: 'ExpiredToken',
      at: input.at ?? clock.now(),
    };
  }),
  '/devices/forget': route(device, (input, { devices }) =>
    devices.forget(found(devices.find(input.environment, input.token))),
  ),
  '/devices/online': route(device.extend({ online: z.boolean() }), (input, { devices, deliveries }) =>
    deliveries.setOnline(found(devices.find(input.environment, input.token)), input.online),
  ),
  '/devices/launch': route(device, (input, { devices, deliveries }) =>
    deliveries.launch(found(devices.find(input.environment, input.token))),
  ),
  '/devices/quit': route(device, (input, { devices, deliveries }) =>
    deliveries.quit(found(devices.find(input.environment, input.token))),
  ),
  '/deliveries': route(query, async ({ waitMs, ...input }, { deliveries }) => ({
    entries: waitMs === undefined ? deliveries.read(input) : await deliveries.wait(input, waitMs),
    lastSeq: deliveries.lastSeq,
  })),
  '/faults/add': route(z.array(rule), (rules, { script }) => script.add(...(rules as FaultRule[]))),
  '/faults/clear': route(nothing, (_, { script }) => script.clear()),
  '/counters': route(nothing, (_, simulator) => simulator.counters()),
  '/goaway': route(
    z.strictObject({ reason: text.optional(), back: count.optional(), code: count.optional() }),
    (input, simulator) => simulator.goaway(input),
  ),
  '/cut': route(nothing, (_, simulator) => simulator.cut()),
  '/silence': route(nothing, (_, simulator) => simulator.silence()),
  '/down': route(nothing, (_, simulator) => simulator.down()),
  '/up': route(nothing, (_, simulator) => simulator.up()),
  '/clock/advance': route(z.strictObject({ ms: count }), async ({ ms }, { clock }) => {
    if (!(clock instanceof VirtualClock)) throw new BadRequest(409, 'the clock is real');
    await clock.advance(ms);
    return { now: clock.now() };
  }),
};

class BadRequest extends Error {
  override readonly name = 'BadRequest';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

function found<T>(value: T | undefined): T {
  if (value === undefined) throw new BadRequest(404, 'no such device');
  return value;
}

/** The server, not yet listening. */
export function createControlServer(simulator: ApnsSimulator): Server {
  return createServer((request, response) => {
    handle(request, simulator).then(
      (result) => reply(response, result === undefined ? 204 : 200, result),
      (error: unknown) => reply(response, statusOf(error), { error: messageOf(error) }),
    );
  });
}

async function handle(request: IncomingMessage, simulator: ApnsSimulator): Promise<unknown> {
  const path = request.url ?? '';
  if (request.method !== 'POST' || !Object.hasOwn(ROUTES, path)) throw new BadRequest(404, 'no such route');
  return await ROUTES[path]!(await readJson(request), simulator);
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY) throw new BadRequest(413, 'too large');
    chunks.push(chunk);
  }
  try {
    return size === 0 ? {} : JSON.parse(Buffer.concat(chunks).toString());
  } catch {
    throw new BadRequest(400, 'not JSON');
  }
}

function statusOf(error: unknown): number {
  if (error instanceof BadRequest) return error.status;
  if (error instanceof DeviceError || error instanceof ScriptError) return 422;
  return error instanceof BusyError ? 503 : 500;
}

const messageOf = (error: unknown): string =>
  statusOf(error) === 500 ? 'internal' : (error as Error).message;

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}
