/** A world in which one subscriber takes over from another, and a process that asks to as a successor does. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { Channel } from '../../../services/subscriber/handover/channel.js';
import {
  decodeChallenge,
  decodeHello,
  encodeChallenge,
  encodeHello,
  encodeNames,
  FORMAT,
} from '../../../services/subscriber/handover/frames.js';
import { sign } from '../../../services/subscriber/handover/proof.js';
import { readIdentityKey } from '../../../shared/crypto/identity-key.js';
import { listenOn } from '../../../shared/run/listen.js';
import { Accountant } from './accountant.js';
import { TestPhone } from './phone.js';
import { startWorld, type World, type WorldOptions } from './world.js';

export const QUEUES_EACH = 4;

/** What `closeAll` closes, last first. */
export const closers: (() => unknown)[] = [];
export const closeAll = async (): Promise<void> => {
  for (const close of closers.splice(0).reverse()) await close();
};

/** Phones that follow queues at two messaging servers. */
export async function settledWorld(options: WorldOptions = {}, count = 1) {
  const world = await startWorld({ messagingServers: 2, ...options });
  closers.push(() => world.close());
  const phones = Array.from({ length: count }, () => new TestPhone(world));
  for (const phone of phones) {
    await phone.register();
    await phone.stopPeriodicChecks();
    for (let n = 0; n < QUEUES_EACH; n++) await phone.follow(`queue ${n}`, world.messagingServers[n % 2]!);
  }
  return { world, phones, phone: phones[0]!, accountant: new Accountant(phones) };
}

/** The registration and all subscriptions are good, and nobody had to register again. */
export async function isUnchanged(phone: TestPhone): Promise<void> {
  const ids = () => phone.sdk.save().subscriptions.map(({ subscriptionId }) => subscriptionId);
  const before = ids();
  await phone.sdk.check();
  assert.equal(phone.sdk.status, 'ACTIVE');
  assert.deepEqual(ids(), before);
  assert.equal(phone.results.filter((result) => result?.kind === 'verification').length, 1);
}

export async function upgrade(world: World): Promise<void> {
  const before = await world.upgradeSubscriber();
  await before.replaced;
  await before.close();
}

/** A process that asks, as a successor does. */
export function connectAsSuccessor(world: World) {
  const socket = connect(join(world.subscriberFolder, 'control.sock'));
  socket.write('{"do":"hand-over"}\n');
  return { socket, channel: new Channel(socket, world.clock) };
}

/** The same, challenged to prove itself. */
export async function greetAsSuccessor(world: World) {
  const asked = connectAsSuccessor(world);
  const successorNonce = world.crypto.randomBytes(32);
  await asked.channel.send('hello', encodeHello({ min: 1, max: FORMAT, nonce: successorNonce.slice() }));
  const { nonce: predecessorNonce } = decodeChallenge(await asked.channel.expect('challenge'));
  return { ...asked, exchange: { format: FORMAT, successorNonce, predecessorNonce } };
}

/** The same, with its proof given. */
export async function asSuccessor(
  world: World,
  key = readIdentityKey(world.crypto, join(world.subscriberFolder, 'identity.key')),
) {
  const { exchange, ...asked } = await greetAsSuccessor(world);
  await asked.channel.send('proof', sign(world.crypto, key, 'successor', exchange));
  return asked;
}

/** It has everything, and is the subscriber when this resolves. */
export async function takesOver(channel: Channel): Promise<void> {
  await hasEverything(channel);
  await channel.expect('free');
  await channel.send('listening');
  await channel.expect('commit');
  await channel.send('taken');
}

/** Everything has crossed. @param names of listeners whose addresses it needs */
export async function hasEverything(channel: Channel, names: readonly string[] = []): Promise<void> {
  while ((await channel.next()).type !== 'end');
  await channel.send('ready', encodeNames(names));
}

/** A process of another format that listens where the world's subscriber did, once a successor has proved itself. */
export async function asPredecessor(world: World, format: number) {
  const server = createServer();
  await listenOn(server, { path: join(world.subscriberFolder, 'control.sock') });
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  socket.pause();
  socket.unshift(chunk.subarray(chunk.indexOf('\n') + 1));
  const channel = new Channel(socket, world.clock);
  const { nonce: successorNonce } = decodeHello(await channel.expect('hello'));
  const predecessorNonce = world.crypto.randomBytes(32);
  const exchange = { format, successorNonce, predecessorNonce };
  const key = readIdentityKey(world.crypto, join(world.subscriberFolder, 'identity.key'));
  const signature = sign(world.crypto, key, 'predecessor', exchange);
  const challenge = { format, nonce: predecessorNonce.slice(), signature };
  await channel.send('challenge', encodeChallenge(challenge));
  await channel.expect('proof');
  return { server, channel };
}
