/**
 * Who learnt what, measured: after the messages the memory of every party is searched for the things that must not
 * meet in one place. What a party doesn't hold, it can't tell.
 */
import { fromBase64url } from '../../shared/encoding/base64url.js';
import { fromHex, utf8 } from '../../shared/encoding/bytes.js';
import { canSearchMemory, searchMemory } from './memory.js';
import type { Invitation } from './phone-reports.js';
import type { PartyName, World } from './world.js';

const PARTIES: readonly PartyName[] = ['messaging server', 'subscriber', 'gateway', 'Apple', 'phone'];

/** A column of the table: the forms in which the thing would stand in memory. */
interface Fact {
  readonly title: string;
  readonly forms: readonly Uint8Array[];
}

function facts({ deviceToken, notifierId, senderId, recipientId }: Invitation, text: string): Fact[] {
  const id = (value: string) => [fromBase64url(value)!, utf8(value)];
  return [
    { title: 'device token', forms: [utf8(deviceToken), fromHex(deviceToken)!] },
    { title: 'notifier id', forms: id(notifierId) },
    { title: 'sender id', forms: id(senderId) },
    { title: 'recipient id', forms: id(recipientId) },
    { title: 'message text', forms: [utf8(text)] },
  ];
}

/** What each party must hold none of, whatever happens (design §1). */
const NEVER: Readonly<Record<PartyName, readonly string[]>> = {
  'messaging server': ['device token', 'message text'],
  subscriber: ['device token', 'sender id', 'recipient id', 'message text'],
  gateway: ['notifier id', 'sender id', 'recipient id', 'message text'],
  Apple: ['notifier id', 'sender id', 'recipient id', 'message text'],
  phone: [],
};

export interface Knowledge {
  /** Header and one row a party; cells say `yes` or `no`. */
  readonly rows: readonly (readonly string[])[];
  /** Parties that hold what they must not. */
  readonly breaches: readonly string[];
}

/** Undefined where this machine doesn't let a parent look into its children. */
export function measureKnowledge(world: World, invitation: Invitation, text: string): Knowledge | undefined {
  const known = facts(invitation, text);
  const rows: string[][] = [['in the memory of', ...known.map(({ title }) => title)]];
  const breaches: string[] = [];
  for (const party of PARTIES) {
    const pid = world.pid(party);
    if (pid === undefined || !canSearchMemory(pid)) return undefined;
    const counts = searchMemory(
      pid,
      known.flatMap(({ forms }) => forms),
    );
    let at = 0;
    const holds = known.map(({ forms }) => forms.map(() => counts[at++]!).some((count) => count > 0));
    rows.push([party, ...holds.map((held) => (held ? 'yes' : 'no'))]);
    known.forEach(({ title }, i) => {
      if (holds[i] && NEVER[party].includes(title)) breaches.push(`${party}: ${title}`);
    });
  }
  return { rows, breaches };
}
