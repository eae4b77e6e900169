/** Several gateways behind one address: processes that share a folder and a Redis, and a load balancer before them. */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BalancerSetting } from './balancer.js';
import { Child, type LogLine } from './child.js';
import { DemoRedis } from './redis.js';

const BALANCER = fileURLToPath(new URL('./balancer.js', import.meta.url));

/** Loopback ports of one gateway. */
export interface GatewayPorts {
  readonly listen: number;
  readonly observe: number;
}

export interface GatewayGroupOptions {
  /** Folder of all, with their one configuration; also of the sockets. */
  readonly folder: string;
  readonly config: string;
  /** Where the balancer listens. */
  readonly port: number;
  readonly gateways: readonly GatewayPorts[];
  readonly onLine: (line: LogLine) => void;
}

export class GatewayGroup {
  private readonly options: GatewayGroupOptions;
  private readonly redis: DemoRedis;
  private readonly gateways: readonly { readonly child: Child; readonly observe: number }[];
  private balancer: ChildProcess | undefined;

  constructor(options: GatewayGroupOptions) {
    const { folder, config, gateways, onLine } = options;
    this.options = options;
    this.redis = new DemoRedis(join(folder, 'redis.sock'));
    this.gateways = gateways.map(({ listen, observe }, i) => {
      const env = {
        PORCHLIGHT_GATEWAY_LISTEN: `127.0.0.1:${listen}`,
        PORCHLIGHT_GATEWAY_OBSERVE_LISTEN: `127.0.0.1:${observe}`,
        PORCHLIGHT_GATEWAY_CONTROL_SOCKET: join(folder, `control-${i}.sock`),
        PORCHLIGHT_GATEWAY_REDIS_URLS: `unix:${this.redis.socket}`,
        PORCHLIGHT_GATEWAY_REDIS_GATEWAYS: `${gateways.length}`,
      };
      return { child: new Child('gateway', ['gateway', '--config', config], onLine, env), observe };
    });
  }

  /** Of a gateway that runs. */
  get pid(): number | undefined {
    return this.running[0]?.child.pid;
  }

  /** For the list of parties. */
  get described(): string {
    return ` · ${this.gateways.length} of them, with a balancer and Redis`;
  }

  /** Where the gateways that run show their metrics. */
  get metricsPorts(): number[] {
    return this.running.map(({ observe }) => observe);
  }

  /** Resolves when all can be reached through the balancer. */
  async start(): Promise<void> {
    await this.redis.start();
    await Promise.all(this.gateways.map(({ child }) => child.start()));
    this.balancer ??= await this.startBalancer();
  }

  /** One gateway is gone in the middle of whatever it does. */
  killGateway(): Promise<void> {
    return this.running[0]!.child.stop('SIGKILL');
  }

  killRedis(): Promise<void> {
    return this.redis.kill();
  }

  async stop(): Promise<void> {
    this.balancer?.kill('SIGKILL'); // it has nothing to put in order
    this.balancer = undefined;
    await Promise.all(this.gateways.map(({ child }) => child.stop()));
    await this.redis.kill();
  }

  private get running() {
    return this.gateways.filter(({ child }) => child.pid !== undefined);
  }

  private startBalancer(): Promise<ChildProcess> {
    const { port, gateways } = this.options;
    const balancer = fork(BALANCER, { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
    const setting: BalancerSetting = { port, gateways: gateways.map(({ listen }) => listen) };
    balancer.send(setting);
    return new Promise((resolve, reject) => {
      balancer.once('message', () => resolve(balancer));
      balancer.once('exit', () => reject(new Error('the load balancer ended')));
    });
  }
}
