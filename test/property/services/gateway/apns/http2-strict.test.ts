/**
 * The HTTP/2 session before a server that keeps the rules and sees to it that they are kept: whatever it does, each
 * push has one answer, and that answer is true.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { toHex } from '../../../../../shared/encoding/bytes.js';
import { type Sent, word } from '../../../../support/apns/http2-peer.js';
import { type Request, StrictServer } from '../../../../support/apns/strict-server.js';

const LIMITS = { streams: [0, 1, 2, 5, 1_000], window: [0, 1, 400, 5_000, 1 << 20] } as const;
const REFUSED_STREAM = 7;
const CANCEL = 8;

interface Push extends Sent {
  readonly path: string;
  readonly body: Uint8Array;
  isCancelled: boolean;
}

class World {
  readonly server: StrictServer;
  readonly pushes: Push[] = [];
  private isGone = false;

  constructor(room: number) {
    this.server = new StrictServer(room);
    this.server.set({ streams: 5, window: 5_000 });
  }

  /** One of the requests that are open and fit; `n` chooses. */
  private one(n: number, fits: (request: Request) => boolean = () => true): Request | undefined {
    const those = [...this.server.open.values()].filter(fits);
    return those[n % those.length];
  }

  private readonly steps: readonly ((n: number) => void)[] = [
    (n) => this.send(n),
    (n) => this.send(n),
    () => void this.server.hear(),
    () => void this.server.hear(),
    () => this.server.pong(),
    (n) => this.server.openWindow(undefined, 1 + n * 20),
    (n) => this.with(this.one(n), (request) => this.server.openWindow(request, 1 + n)),
    (n) => this.with(this.one(n, isUnsaid), (request) => this.server.answer(request, statusOf(n), n % 3 > 0)),
    (n) => this.with(this.one(n, isUnsaid), (request) => this.server.answer(request, statusOf(n), n % 3 > 0)),
    (n) => this.with(this.one(n, isSaid), (request) => this.server.end(request)),
    (n) =>
      this.with(this.one(n, isUnsaid), (request) =>
        this.server.reset(request, n % 2 === 0 ? REFUSED_STREAM : CANCEL),
      ),
    (n) => this.server.set({ streams: LIMITS.streams[n % 5]!, window: LIMITS.window[(n >> 3) % 5]! }),
    (n) => this.cancel(n),
    (n) => n % 4 === 0 && this.leave(n),
  ];

  step(kind: number, n: number): void {
    this.steps[kind % this.steps.length]!(n);
  }

  private with(request: Request | undefined, act: (request: Request) => void): void {
    if (request !== undefined) act(request);
  }

  private send(n: number): void {
    if (this.isGone) return;
    const token = Buffer.alloc(4);
    token.writeUInt32BE(this.pushes.length);
    const body = Buffer.alloc(1 + n * 16, n);
    const sent = this.server.peer.send({ token, body });
    this.pushes.push({ ...sent, body, path: `/3/device/${toHex(token)}`, isCancelled: false });
  }

  private cancel(n: number): void {
    const push = this.pushes[n % this.pushes.length];
    if (push === undefined || push.answers.length > 0) return;
    push.isCancelled = true;
    this.server.peer.session.cancel(push.exchange);
  }

  private leave(n: number): void {
    this.isGone = true;
    this.server.leave(n % 8 === 0 ? 0x7fff_ffff : (this.one(n)?.id ?? 0));
  }

  /** Where nothing stands in the way, everything is written. */
  open(): void {
    this.server.set({ streams: 1_000, window: 1 << 20 });
    this.server.openWindow(undefined, 1 << 24);
    do this.server.pong();
    while (this.server.hear());
  }

  end(): void {
    this.server.peer.session.end();
    for (const push of this.pushes) this.check(push);
  }

  private check({ answers, path, body, isCancelled }: Push): void {
    const request = this.server.seen.get(path);
    assert.equal(answers.length, isCancelled ? 0 : 1);
    const said = word(answers[0]);
    if (said === 200) assert.deepEqual([request!.status, request!.isWhole], ['200', true]);
    if (said === 400) assert.equal(request!.status, '400');
    if (said === 'unprocessed') assert.ok(request === undefined || !this.server.mayAct(request));
    if (request?.isWhole) assert.deepEqual(request.body, body);
  }
}

const isUnsaid = ({ status }: Request): boolean => status === undefined;
const isSaid = ({ status, isEnded }: Request): boolean => status !== undefined && !isEnded;
const statusOf = (n: number): string => (n % 4 === 0 ? '400' : '200');

test('a server that keeps the rules finds no fault, and each answer is true', () => {
  const script = fc.array(fc.tuple(fc.nat(13), fc.nat(1_000)), { minLength: 20, maxLength: 300 });
  fc.assert(
    fc.property(fc.constantFrom(20_000, 131_072), script, fc.boolean(), (room, steps, isOpened) => {
      const world = new World(room);
      for (const [kind, n] of steps) world.step(kind, n);
      if (isOpened) world.open();
      world.end();
    }),
    { numRuns: 300 },
  );
});
