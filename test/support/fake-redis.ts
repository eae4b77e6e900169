/** A Redis at the level of the few commands that gateways use: answers what a test says, when it says so. */
import type { Argument, Dated, RedisClient } from '../../services/gateway/redis/client.js';

export class FakeRedis implements RedisClient {
  readonly isCluster = false;
  /** Every call of the script. */
  readonly runs: { keys: readonly string[]; args: readonly Argument[] }[] = [];
  /** Values of claimed keys. */
  readonly given = new Map<string, string>();
  /** The sorted set, and how many of its members were passed over. */
  readonly dated = new Map<string, number>();
  skipped = 0;
  reconnects = 0;
  reads = 0;
  now = 1_800_000_000_000;
  /** What the script answers for each frame that asks. */
  answer = '';
  /** What reading answers for each key. */
  value: (key: string) => string | null = () => null;
  /** Replaces every answer: a failure, or a promise that never ends. */
  trouble: (() => Promise<never>) | undefined;

  async connect(): Promise<void> {}

  async run(keys: readonly string[], args: readonly Argument[]): Promise<readonly string[]> {
    this.runs.push({ keys, args });
    await this.trouble?.();
    const asking = keys.filter((key) => key.includes('}f')).length;
    return [String(this.now), ...Array.from({ length: asking }, () => this.answer)];
  }

  async read(keys: readonly string[]): Promise<readonly (string | null)[]> {
    this.reads++;
    await this.trouble?.();
    return keys.map((key) => this.value(key) ?? this.given.get(key) ?? null);
  }

  async claim(key: string, _seconds: number, value?: string): Promise<boolean> {
    await this.trouble?.();
    if (value !== undefined) this.given.set(key, value);
    return true;
  }

  async add(_key: string, members: readonly Dated[]): Promise<true> {
    for (const [time, member] of members) if (!this.dated.has(member)) this.dated.set(member, time);
    return true;
  }

  async since(_key: string, time: number, skip: number, count: number): Promise<readonly Dated[]> {
    this.skipped += skip;
    const all = [...this.dated].map(([member, at]): Dated => [at, member]).filter(([at]) => at >= time);
    return all.sort(inOrder).slice(skip, skip + count);
  }

  /** FLUSHALL. */
  flush(): void {
    this.given.clear();
    this.dated.clear();
  }

  async probe(): Promise<number> {
    await this.trouble?.();
    return this.now;
  }

  reconnect(): void {
    this.reconnects++;
  }

  close(): void {}
}

const inOrder = ([a, x]: Dated, [b, y]: Dated): number => a - b || (x < y ? -1 : 1);

export const never = (): Promise<never> => new Promise(() => {});

/** As ioredis puts it. */
export const fails = (name: string, message: string) => async (): Promise<never> => {
  throw Object.assign(new Error(message), { name });
};
