/**
 * What `/status.json` and `/public.json` say, to the field; the HTML pages show the same and nothing more. The types
 * of the view model are inferred from here, so that code, documentation and tests can't differ.
 */
import { z } from 'zod';

/** `unseen`: cannot be known from here, by design; `idle`: nothing to do. */
const state = z.enum(['ok', 'idle', 'warn', 'down', 'unseen']);

/** How many: about this many, or fewer than can be told without telling of someone. */
const rounded = z.union([
  z.strictObject({ about: z.number().nonnegative() }),
  z.strictObject({ under: z.int().positive() }),
]);

/** Rounded counts of equal steps of time, oldest first; null before the process started. 0 stands for "few". */
const course = z.strictObject({
  stepSeconds: z.int().positive(),
  points: z.array(z.number().nonnegative().nullable()).max(64),
});

/** How many happened in the last `seconds`. */
const recent = z.strictObject({ seconds: z.int().positive(), count: rounded });

const rateRow = z.strictObject({
  kind: z.literal('rate'),
  label: z.string(),
  recent: recent.nullable(),
  courses: z.array(course),
});

const countRow = z.strictObject({
  kind: z.literal('count'),
  label: z.string(),
  /** Exact only where it is the service's own, such as its connections to Apple. */
  count: z.union([rounded, z.strictObject({ exactly: z.int().nonnegative() })]),
  courses: z.array(course),
});

/** Quantiles in seconds; null while there are too few observations to tell without telling of one. */
const latencyRow = z.strictObject({
  kind: z.literal('latency'),
  label: z.string(),
  seconds: z.int().positive(),
  quantiles: z.strictObject({ p50: z.number(), p95: z.number(), p99: z.number() }).nullable(),
});

const sharesRow = z.strictObject({
  kind: z.literal('shares'),
  label: z.string(),
  seconds: z.int().positive(),
  parts: z.array(
    z.strictObject({
      label: z.string(),
      state,
      /** In the last `seconds`; null where it is not known yet. */
      recent: rounded.nullable(),
      /** Since the process started; null on the public page. */
      sinceStart: rounded.nullable(),
    }),
  ),
});

const stateRow = z.strictObject({ kind: z.literal('state'), label: z.string(), state, says: z.string() });

const row = z.discriminatedUnion('kind', [rateRow, countRow, latencyRow, sharesRow, stateRow]);

const panel = z.strictObject({ title: z.string(), says: z.string(), rows: z.array(row) });

/** One station of a wake-up's way; `here` is the service that answers. On the public page `says` is mostly empty. */
const hop = z.strictObject({ name: z.string(), here: z.boolean(), state, says: z.string() });

export const statusSchema = z.strictObject({
  service: z.enum(['gateway', 'subscriber']),
  view: z.enum(['operator', 'public']),
  /** ISO 8601, UTC. */
  at: z.iso.datetime(),
  state,
  /** Our own words: what is wrong, or that nothing is. */
  says: z.string(),
  /** Only on the operator's page. */
  process: z
    .strictObject({
      version: z.string(),
      crypto: z.enum(['native', 'wasm']),
      uptimeSeconds: z.int().nonnegative(),
      residentBytes: z.int().nonnegative(),
    })
    .nullable(),
  /** The hour that the public page's figures are of; null on the operator's page, and before there is one. */
  hour: z.strictObject({ from: z.iso.datetime(), to: z.iso.datetime() }).nullable(),
  /** Left to right, as a wake-up travels. */
  hops: z.array(hop).length(4),
  panels: z.array(panel),
});

export type Status = z.output<typeof statusSchema>;
export type State = z.output<typeof state>;
export type Rounded = z.output<typeof rounded>;
export type Course = z.output<typeof course>;
export type Hop = z.output<typeof hop>;
export type Panel = z.output<typeof panel>;
export type Row = z.output<typeof row>;
export type RowOf<K extends Row['kind']> = Extract<Row, { kind: K }>;
