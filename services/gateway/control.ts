/** What an operator may do to subscribers while the gateway runs, over the control socket (design §2). */
import { z } from 'zod';
import { type ControlCommand, ControlRefusal } from '../../shared/run/control.js';
import { type Roster, RosterError, subscriberKeyField, subscriberLimits } from './limits/roster.js';
import type { Subscribers } from './limits/subscribers.js';

/** Counts are told in steps, so that nobody reads single devices from them. */
const STEPS = [0, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000] as const;

const keyed = z.object({ key: subscriberKeyField });
const changes = keyed.extend(subscriberLimits.shape);

/** `subscribers`, `subscriber-add`, `subscriber-limit` and `subscriber-remove`. */
export function subscriberCommands(
  roster: Roster,
  subscribers: Subscribers,
): Readonly<Record<string, ControlCommand>> {
  return {
    async subscribers(_request, say) {
      for (const { tagText, ...entry } of roster.all) {
        const devices = rounded(subscribers.devices(tagText));
        say({ ...entry, mayAsk: entry.rate !== 0, devices });
      }
      const listed = roster.all.filter(({ tagText }) => subscribers.has(tagText)).length;
      say({ mode: roster.mode, others: rounded(subscribers.size - listed) });
    },
    async 'subscriber-add'(request) {
      const { key, ...limits } = parsed(changes, request);
      put(() => roster.put(key, limits));
    },
    async 'subscriber-limit'(request) {
      const { key, ...limits } = parsed(changes, request);
      const before = roster.find(roster.tagOf(key));
      if (before === undefined && roster.mode === 'listed') throw new ControlRefusal('not on the list');
      const { name, rate, requests } = { ...before, ...limits };
      put(() =>
        roster.put(key, {
          ...(name !== undefined && { name }),
          ...(rate !== undefined && { rate }),
          ...(requests !== undefined && { requests }),
        }),
      );
    },
    async 'subscriber-remove'(request) {
      const { key } = parsed(keyed, request);
      if (!put(() => roster.remove(key))) throw new ControlRefusal('not on the list');
    },
  };
}

/** Rounded up to the next step. */
const rounded = (count: number): number => STEPS.find((step) => count <= step) ?? STEPS.at(-1)!;

/** The request without its `do`; zod's words name keys and shapes, never values. */
function parsed<S extends z.ZodType>(schema: S, { do: _, ...request }: Record<string, unknown>): z.output<S> {
  const result = schema.safeParse(request);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0]!;
  throw new ControlRefusal(`${path.join('.') || 'request'}: ${message}`);
}

function put<T>(change: () => T): T {
  try {
    return change();
  } catch (error) {
    throw error instanceof RosterError ? new ControlRefusal(error.message) : error;
  }
}
