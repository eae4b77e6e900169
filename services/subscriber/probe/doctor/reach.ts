/** The way to a messaging server as one of its users, in the hops of the self-test: dial, identity, session. */
import type { ServerAddress } from '../../../../shared/smp/address.js';
import type { Stage } from '../../sources/smp/connector.js';
import { openUser, type UserTools } from '../own-queue.js';
import type { SmpUser } from '../smp-user.js';
import { dialTrouble, handshakeTrouble, identityTrouble } from './fixes.js';
import { type Hops, Stopped, type Trouble } from './hops.js';

const CONNECT_MS = 20_000;

/** What comes after each stage, and what it means when that fails. */
const NEXT: Readonly<Record<Stage, { name: string; explain: (error: unknown) => Trouble }>> = {
  begun: { name: 'dial', explain: dialTrouble },
  network: { name: 'TLS and identity', explain: identityTrouble },
  identity: { name: 'SMP handshake', explain: handshakeTrouble },
};

/** Throws `Stopped`. */
export async function reach(hops: Hops, tools: UserTools, server: ServerAddress): Promise<SmpUser> {
  const { clock, say } = hops;
  let stage: Stage = 'begun';
  let sinceMs = clock.monotonic();
  const elapsed = (): number => clock.monotonic() - sinceMs;
  const passed = (detail: string): void => {
    say({ name: NEXT[stage].name, state: 'ok', detail, ms: elapsed() });
    sinceMs = clock.monotonic();
  };
  const reached = (next: Stage): void => {
    if (next !== 'begun') passed(next === 'network' ? 'connected' : 'the one that the address names');
    stage = next;
  };
  let user: SmpUser | undefined;
  try {
    user = await openUser(tools, server, hops.atMost(CONNECT_MS), reached);
    await user.ping();
    passed(`version ${user.version}`);
    return user;
  } catch (error) {
    user?.close();
    const { name, explain } = NEXT[stage];
    say({ name, state: 'failed', ...explain(error), ms: elapsed() });
    throw new Stopped();
  }
}
