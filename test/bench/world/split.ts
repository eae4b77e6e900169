/** The whole split in processes of its own: messaging server, subscriber, gateway (real or lean), lean APNs, phones. */
import type { Api } from '../child.js';
import { type Child, startParty } from '../children.js';
import { until } from '../harness.js';
import type { LeanGateway, LeanGatewayEvent } from '../parties/lean-gateway.js';
import type { Phones } from '../parties/phones.js';
import type { Smp } from '../parties/smp.js';
import { type Apple, startLeanApns } from './apple.js';
import { prepareGateway, prepareSubscriber, TOPIC } from './services.js';

export interface Split {
  readonly subscriber: Child<Api>;
  readonly smp: Child<Smp>;
  readonly phones: Child<Phones>;
  /** With the real gateway only. */
  readonly gateway: Child<Api> | undefined;
  readonly apple: Apple | undefined;
  /** Called with the number of message pushes that came out at the far end. */
  onPushes: (count: number) => void;
}

export interface SplitOptions {
  /** Phones that are registered and ACTIVE. */
  readonly devices: number;
  readonly gateway: 'real' | { readonly lean: true };
  /** How long Apple takes to answer. */
  readonly delayMs?: number;
}

/** Services started and phones registered; nothing is subscribed yet. */
export async function startSplit(options: SplitOptions): Promise<Split> {
  const world = { onPushes: (_: number): void => {} };
  const right =
    options.gateway === 'real' ? await startRight() : await startLean((count) => world.onPushes(count));
  const prepared = await prepareSubscriber(right.address);
  const subscriber = await prepared.start();
  const smp = await startParty<Smp>('smp');
  const phones = await startParty<Phones>('phones');
  const { port, keyHash } = prepared;
  const code = right.apple ? 'pushed' : 'any';
  await phones.call('connect', { port, keyHash, smp: await smp.call('start'), code });
  right.apple?.listen((event) => {
    if (event.kind === 'request') void phones.call('pushed', event.body);
    else world.onPushes(event.requests);
  });
  await right.apple?.process.call('watch', 'requests');
  await phones.call('register', options.devices);
  await right.apple?.process.call('watch', 'counts');
  await right.apple?.process.call('setDelay', options.delayMs ?? 0);
  return Object.assign(world, { ...right, subscriber, smp, phones });
}

/** One subscription a phone, confirmed by the messaging server. */
export async function subscribeAll(world: Split): Promise<number> {
  const count = await world.phones.call('prepare', 1);
  await world.phones.call('subscribe');
  await subscribed(world, count);
  return count;
}

/** Until the messaging server has answered so many NSUBs. */
export const subscribed = ({ smp }: Split, count: number): Promise<void> =>
  until('subscription', async () => (await smp.call('subscribed')) >= count);

interface Right {
  readonly address: string;
  readonly gateway: Child<Api> | undefined;
  readonly apple: Apple | undefined;
}

async function startRight(): Promise<Right> {
  const apple = await startLeanApns({ delayMs: 0 });
  const prepared = await prepareGateway(apple);
  return { address: prepared.address, gateway: await prepared.start(), apple };
}

async function startLean(onPushes: (count: number) => void): Promise<Right> {
  const onEvent = (event: unknown): void => onPushes((event as LeanGatewayEvent).requests);
  const lean = await startParty<LeanGateway>('lean-gateway', { onEvent });
  return { address: await lean.call('start', TOPIC), gateway: undefined, apple: undefined };
}
