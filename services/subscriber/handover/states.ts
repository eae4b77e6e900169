/** Where the hand-over stands in the process that is to be replaced (design §5), as one table. Pure. */

export const STATES = ['serving', 'offering', 'copying', 'mirrored', 'draining', 'gone'] as const;
export type State = (typeof STATES)[number];

/**
 * `asked` a successor connected · `proved` it knows the subscriber's key · `copied` it confirmed that it holds
 * everything · `committed` it said that it is the subscriber now · `drained` nothing more comes from messaging
 * servers · `failed` anything else: it died, stalled, sent what can't be read.
 */
export const EVENTS = ['asked', 'proved', 'copied', 'committed', 'drained', 'failed'] as const;
export type Event = (typeof EVENTS)[number];

const NEXT: Readonly<Record<State, Partial<Readonly<Record<Event, State>>>>> = {
  serving: { asked: 'offering' },
  offering: { proved: 'copying', failed: 'serving' },
  copying: { copied: 'mirrored', failed: 'serving' },
  mirrored: { committed: 'draining', failed: 'serving' },
  // The successor serves: whatever happens, we never do again.
  draining: { drained: 'gone', failed: 'gone' },
  gone: {},
};

/** The state after the event; undefined where it can't happen, and nothing may change. */
export const next = (state: State, event: Event): State | undefined => NEXT[state][event];
