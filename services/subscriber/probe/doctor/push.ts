/** The end of a signal's way: from a phone's mailbox through the gateway to Apple, by the wake engine's milestones. */
import type { Finding } from '../../../../shared/run/doctor.js';
import type { Milestone } from '../../wake/milestones.js';
import type { WakeEngine } from '../../wake/wake.js';
import type { QueueWatch } from '../queue-watch.js';
import { type Hops, Stopped } from './hops.js';

const PUSH_MS = 20_000;

const STEPS: readonly { milestone: Milestone; name: string; detail: string }[] = [
  { milestone: 'queued', name: 'mailbox', detail: "in the phone's mailbox" },
  { milestone: 'sealed', name: 'push sealed', detail: 'boxed for the phone, handed to the gateway' },
  { milestone: 'accepted', name: 'push accepted', detail: 'the gateway passed it to Apple, who took it' },
];

const WAITS: Pick<Finding, 'state' | 'detail' | 'fix'> = {
  state: 'warning',
  detail: 'it waits',
  fix: "it leaves as soon as the phone's budget and the listener's mode, coalesce_ms and delay_ms allow",
};

/** By the closed words with which milestones say where a signal stopped. */
const STOPS: Readonly<Record<string, Pick<Finding, 'state' | 'detail' | 'fix'>>> = {
  'gateway-away': {
    state: 'failed',
    detail: 'the gateway can not be used',
    fix: 'see its findings above; the push leaves when it is back',
  },
  unavailable: {
    state: 'failed',
    detail: 'the gateway or Apple takes no pushes now',
    fix: "the gateway's operator can ask its doctor; the push leaves when it is back",
  },
  later: { ...WAITS, detail: 'the gateway asks to wait', fix: 'the phone got many pushes lately: try later' },
  dead: {
    state: 'failed',
    detail: "Apple does not know the phone's token any more",
    fix: 'open the app on the phone: it registers again',
  },
  refused: {
    state: 'failed',
    detail: 'the gateway refused the push',
    fix: 'open the app on the phone: it registers again; if that does not help, see the log of the subscriber',
  },
  'no-room': {
    state: 'failed',
    detail: 'no room in the mailboxes',
    fix: 'raise limits.mailbox_entries',
  },
};

/** Where the signal of one queue has come to. */
export interface PushTrail {
  /** Tells the hops that it passes. Throws `Stopped` where it ends before Apple took it. */
  follow(hops: Hops): Promise<void>;
  stop(): void;
}

/** Watches from now on; undefined where too many queues are watched already. */
export function trailOf(
  { clock }: Pick<Hops, 'clock'>,
  wake: Pick<WakeEngine, 'watch'>,
  watch: QueueWatch,
): PushTrail | undefined {
  const passed = new Map<Milestone, number>();
  let stoppedBy: string | undefined;
  const stop = wake.watch(watch.ref, (milestone, reason) => {
    if (milestone === 'stopped') stoppedBy = reason;
    else passed.set(milestone, clock.monotonic());
    watch.wake();
  });
  if (stop === undefined) return undefined;
  const isOver = (): boolean => passed.has('accepted') || stoppedBy !== undefined;
  return {
    stop,
    async follow(hops) {
      await watch.until(isOver, hops.atMost(PUSH_MS));
      let beforeMs = passed.get('received') ?? clock.monotonic();
      for (const { milestone, name, detail } of STEPS) {
        const atMs = passed.get(milestone);
        if (atMs === undefined) {
          hops.say({ name, ...(STOPS[stoppedBy ?? ''] ?? WAITS) });
          throw new Stopped();
        }
        hops.say({ name, state: 'ok', detail, ms: atMs - beforeMs });
        beforeMs = atMs;
      }
    },
  };
}
