/**
 * The demo's load balancer, a process of its own: one address for several gateways, as operators have it. It passes
 * bytes on and opens no TLS; a gateway that is gone is passed over.
 */
import { connect, createServer, type Socket } from 'node:net';

export interface BalancerSetting {
  readonly port: number;
  /** Ports of the gateways on loopback. */
  readonly gateways: readonly number[];
}

const HOST = '127.0.0.1';

function balance({ port, gateways }: BalancerSetting, onListening: () => void): void {
  let turn = 0;
  const server = createServer((client) => {
    const first = turn++;
    passOn(
      client,
      gateways.map((_, i) => gateways[(first + i) % gateways.length]!),
    );
  });
  server.listen(port, HOST, onListening);
}

/** To the first that takes the connection. */
function passOn(client: Socket, [port, ...others]: readonly number[]): void {
  if (port === undefined) {
    client.destroy();
    return;
  }
  const gateway = connect(port, HOST);
  client.on('error', () => gateway.destroy());
  gateway.once('error', () => passOn(client, others));
  gateway.once('connect', () => {
    gateway.removeAllListeners('error');
    gateway.on('error', () => client.destroy());
    gateway.on('close', () => client.destroy());
    client.on('close', () => gateway.destroy());
    client.pipe(gateway).pipe(client);
  });
}

process.once('message', (setting: BalancerSetting) => balance(setting, () => process.send?.('ready')));
process.once('disconnect', () => process.exit());
