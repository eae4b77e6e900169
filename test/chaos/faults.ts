/**
 * What may break, hop by hop. Each fault is started and later mended; what a mend can't undo (a frozen connection, a
 * lost notification) is for the parties to get over.
 */
import type { FaultRule } from '../../services/simulators/apns/script.js';
import type { Network } from './network.js';
import type { Random } from './random.js';
import type { ChaosWorld, Links } from './world.js';

type Mend = () => void | Promise<void>;
type Start = (world: ChaosWorld, random: Random) => undefined | Mend | Promise<undefined | Mend>;

export interface Fault {
  /** `hop: what happens there`. */
  readonly name: string;
  readonly start: Start;
  /**
   * Destroys what a server keeps for queues that nobody follows. By the definition that is no loss, for the server
   * did not run on; a subscriber that followed them notices, one that was just restarted can't.
   */
  readonly losesUnfollowed?: true;
}

const fault = (name: string, start: Start): Fault => ({ name, start });

/** The ways between two parties, each of which can break in each manner. */
const LINKS: Readonly<Record<string, (links: Links, random: Random) => Network>> = {
  'messaging server – subscriber': ({ messaging }, random) => random.pick(messaging),
  'subscriber – gateway': ({ gateway }) => gateway,
  'gateway – Apple': ({ apple }) => apple,
  'phone – subscriber': ({ phones }) => phones,
};

const MANNERS: Readonly<Record<string, (network: Network, random: Random) => void>> = {
  cut: (network) => network.cut(),
  'cut in the middle': (network, random) => network.cutAfter(random.between(0, 20_000)),
  'cut and refused': (network) => {
    network.refuse();
    network.cut();
  },
  frozen: (network) => network.freeze(),
  slow: (network, random) => network.slow(random.between(5, 60)),
};

const linkFaults = Object.entries(LINKS).flatMap(([link, networkOf]) =>
  Object.entries(MANNERS).map(([manner, apply]) =>
    fault(`${link}: ${manner}`, (world, random) => {
      const network = networkOf(world.links, random);
      apply(network, random);
      return () => network.mend();
    }),
  ),
);

const messagingFaults: readonly Fault[] = [
  fault('messaging server: stopped in good order', async ({ messagingServers }, random) => {
    const server = random.pick(messagingServers);
    await server.down();
    return () => server.up();
  }),
  {
    name: 'messaging server: crashed',
    start: async ({ messagingServers }, random) => {
      const server = random.pick(messagingServers);
      await server.down({ graceful: false });
      return () => server.up();
    },
    losesUnfollowed: true,
  },
  fault('messaging server: drops connections', ({ messagingServers }, random) => {
    random.pick(messagingServers).dropConnections();
    return undefined;
  }),
  fault('messaging server: sends garbage', ({ messagingServers, links }, random) => {
    const at = random.between(0, messagingServers.length - 1);
    const { faults } = messagingServers[at]!;
    faults.add({ kind: 'garbage', block: random.between(1, 3) });
    links.messaging[at]!.cut(); // the next connection gets it
    return () => faults.clear();
  }),
  fault('messaging server: can not subscribe for now', ({ messagingServers, links }, random) => {
    const at = random.between(0, messagingServers.length - 1);
    const { faults } = messagingServers[at]!;
    faults.add({ kind: 'answer', word: 'NSUB', error: { kind: 'INTERNAL' }, times: random.between(1, 8) });
    links.messaging[at]!.cut();
    return () => faults.clear();
  }),
  fault('messaging server: answers late', ({ messagingServers }, random) => {
    const { faults } = random.pick(messagingServers);
    faults.add({ kind: 'delay', ms: random.between(20, 200), times: 5 });
    return () => faults.clear();
  }),
];

const gatewayFaults = [
  fault('gateway: killed', async ({ gateway }) => {
    await gateway.end('SIGKILL');
    return () => gateway.start();
  }),
  fault('gateway: stopped', async ({ gateway }) => {
    await gateway.end('SIGTERM');
    return () => gateway.start();
  }),
  fault('gateway: stands still', ({ gateway }) => {
    gateway.pause();
    return () => gateway.resume();
  }),
];

/** Something that happens to some of the next pushes. */
const pushFault = (name: string, what: FaultRule['fault']): Fault =>
  fault(`Apple: ${name}`, ({ apns }, random) => {
    apns.script.add({ on: 'push', every: random.between(1, 2), times: random.between(1, 8), fault: what });
    return () => apns.script.clear();
  });

const appleFaults = [
  fault('Apple: down', async ({ apns }) => {
    await apns.down();
    return () => apns.up();
  }),
  fault('Apple: cuts connections', ({ apns }) => {
    apns.cut();
    return undefined;
  }),
  fault('Apple: goes silent', ({ apns }) => {
    apns.silence();
    return undefined;
  }),
  fault('Apple: says goodbye', ({ apns }, random) => {
    apns.goaway(random.next() < 0.5 ? { reason: 'Shutdown' } : { back: 1 });
    return undefined;
  }),
  pushFault('answers 500', { answer: { status: 500, reason: 'InternalServerError' } }),
  pushFault('answers 503', { answer: { status: 503, reason: 'ServiceUnavailable' } }),
  pushFault('answers 429', { answer: { status: 429, reason: 'TooManyRequests' } }),
  pushFault('refuses streams', { reset: 'refused' }),
  pushFault('resets streams after the work', { reset: 'cancel', processed: true }),
  pushFault('never answers', { stall: true }),
  pushFault('is slow', { latencyMs: 80 }),
];

const subscriberFaults = [
  fault('subscriber: restarted', async (world) => {
    await world.restartSubscriber();
    return undefined;
  }),
];

/** How far a process comes that does not take over. */
const FAILING_AT = ['challenge', 'begin', 'ready', 'free', 'listening', 'commit'] as const;

/** Another process takes over, or fails to, while the rest breaks too: phones notice nothing. */
const upgradeFaults = [
  fault('subscriber: upgrade that fails', async (world, random) => {
    await world.failToUpgrade(random.pick(FAILING_AT));
    return undefined;
  }),
  fault('subscriber: upgraded', async (world) => {
    await world.upgradeSubscriber();
    return undefined;
  }),
];

/** Faults of which each round has one to three. */
export const FAULTS: readonly Fault[] = [
  ...linkFaults,
  ...messagingFaults,
  ...gatewayFaults,
  ...appleFaults,
  ...upgradeFaults,
];
/**
 * Before the traffic of a round only: what the subscriber held in memory is gone with it, as promised (design §5), so
 * the account begins when it is back.
 */
export const OPENING_FAULTS: readonly Fault[] = subscriberFaults;
