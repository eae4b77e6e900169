/** A Redis at the level of the few commands that gateways use: answers what a test says, when it says so. */
import type { Argument, RedisClient } from '../../services/gateway/redis/client.js';

export class FakeRedis implements RedisClient {
  readonly isCluster = false;
  /** Every call of the script. */
  readonly runs: { keys: readonly string[]; args: readonly Argument[] }[] = [];
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
    return keys.map((key) => this.value(key));
  }

  async claim(): Promise<boolean> {
    await this.trouble?.();
    return true;
  }

  async add(): Promise<true> {
    return true;
  }

  async since(): Promise<readonly string[]> {
    return [];
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

export const never = (): Promise<never> => new Promise(() => {});

/** As ioredis puts it. */
export const fails = (name: string, message: string) => async (): Promise<never> => {
  throw Object.assign(new Error(message), { name });
};
