/** From metrics to what a page says: the operator's view of now, and the public one of an hour ago. Pure. */
import type { MetricTable } from '../metrics.js';
import type {
  Judgement,
  PartDescription,
  Readings,
  RowDescription,
  StatusDescription,
} from './description.js';
import { HOUR_MS, MINUTE_MS, type Past } from './history.js';
import { quantile } from './quantiles.js';
import { heightOf, roundForOperator, roundForPublic, SMALL } from './rounding.js';
import type { Course, Hop, Panel, Rounded, Row, Status } from './schema.js';
import type { AnyMeasure } from './series.js';
import { course, growth, lastWindow, momentAt, type Steps, type Window, wholeSteps } from './windows.js';

/** What counts as "now" for a rate, and for latencies and shares, which need more to say something. */
const RATE_MS = 5 * MINUTE_MS;
const WINDOW_MS = 30 * MINUTE_MS;
const MINUTES_SHOWN = 30;
const HOURS_SHOWN = 48;

/** What no metric knows. */
export interface ProcessFacts {
  readonly version: string;
  readonly crypto: 'native' | 'wasm';
  readonly residentBytes: number;
  readonly notReady: string | undefined;
}

/** How one of the two views looks at the past. */
interface Lens {
  readonly past: Past;
  readonly round: (count: number) => Rounded;
  /** The window of rates, and of everything else; undefined where the process is too young. */
  readonly rate: Window | undefined;
  readonly window: Window | undefined;
  readonly courses: readonly Steps[];
  readonly sinceStart: boolean;
}

type Description = StatusDescription<MetricTable>;

/** The operator's view: now, small counts rounded. */
export function operatorStatus(description: Description, facts: ProcessFacts, past: Past): Status {
  const readings = readingsOf(past, facts);
  const hops = hopsOf(description, readings);
  const { now, start } = past;
  return {
    service: description.service,
    view: 'operator',
    at: isoOf(now.wall),
    ...overall(hops, facts.notReady),
    process: {
      version: facts.version,
      crypto: facts.crypto,
      uptimeSeconds: Math.floor((now.at - start.at) / 1000),
      residentBytes: facts.residentBytes,
    },
    hour: null,
    hops,
    panels: panelsOf(description.panels, readings, operatorLens(past)),
  };
}

/** What anybody may see: health now without reasons, figures in powers of two of an hour that ended an hour ago. */
export function publicStatus(description: Description, facts: ProcessFacts, past: Past): Status {
  const readings = readingsOf(past, facts);
  const hops = hopsOf(description, readings).map(withoutReason);
  const lens = publicLens(past);
  const panels = description.panels
    .map((panel) => ({ ...panel, rows: panel.rows.filter((row) => 'isPublic' in row && row.isPublic) }))
    .filter(({ rows }) => rows.length > 0);
  return {
    service: description.service,
    view: 'public',
    at: isoOf(past.now.wall),
    ...overall(hops, facts.notReady && 'see the operator’s page'),
    process: null,
    hour: lens.window ? { from: isoOf(lens.window.from.wall), to: isoOf(lens.window.to.wall) } : null,
    hops,
    panels: panelsOf(panels, readings, lens),
  };
}

function operatorLens(past: Past): Lens {
  const round = roundForOperator;
  const steps = (moments: Steps['moments'], stepMs: number, count: number): Steps => ({
    moments,
    stepMs,
    count,
    end: wholeSteps(past, stepMs),
    round,
  });
  return {
    past,
    round,
    rate: lastWindow(past, RATE_MS),
    window: lastWindow(past, WINDOW_MS),
    courses: [steps(past.fine, MINUTE_MS, MINUTES_SHOWN), steps(past.hourly, HOUR_MS, HOURS_SHOWN)],
    sinceStart: true,
  };
}

function publicLens(past: Past): Lens {
  const round = roundForPublic;
  const { hourly } = past;
  const end = wholeSteps(past, HOUR_MS) - HOUR_MS;
  const to = momentAt(hourly, end);
  const from = momentAt(hourly, end - HOUR_MS);
  const window = to && from && { from, to };
  const hours = { moments: hourly, stepMs: HOUR_MS, count: HOURS_SHOWN, end, round };
  return { past, round, rate: window, window, courses: [hours], sinceStart: false };
}

function readingsOf(past: Past, { notReady }: ProcessFacts): Readings<MetricTable> {
  const recent = lastWindow(past, RATE_MS);
  return {
    notReady,
    now: (measure) => past.index.value(past.now, measure),
    crowd: (measure) => past.index.value(past.now, measure) >= SMALL,
    recent: (measure) => heightOf(roundForOperator(growth(past, measure, recent))),
    knows: ({ metric }) => past.index.knows(metric),
  };
}

const hopsOf = ({ hops }: Description, readings: Readings<MetricTable>): Hop[] =>
  hops.map(({ name, here = false, judge }) => ({ name, here, ...judge(readings) }));

/** Whether a hop has nothing to do may depend on one person: told as "ok". */
function withoutReason(hop: Hop): Hop {
  if (hop.state === 'unseen') return hop;
  return { ...hop, state: hop.state === 'idle' ? 'ok' : hop.state, says: '' };
}

function overall(hops: readonly Hop[], notReady: string | undefined): Judgement {
  if (notReady !== undefined) return { state: 'down', says: `Not ready: ${notReady}` };
  const troubled = hops.filter(({ state }) => state === 'down' || state === 'warn');
  if (troubled.length === 0) return { state: 'ok', says: 'Working' };
  return { state: 'warn', says: `Working, with trouble at: ${troubled.map(({ name }) => name).join(', ')}` };
}

const panelsOf = (panels: Description['panels'], readings: Readings<MetricTable>, lens: Lens): Panel[] =>
  panels.map(({ title, says, rows }) => ({
    title,
    says,
    rows: rows.map((row) => rowOf(row, readings, lens)),
  }));

function rowOf(row: RowDescription<MetricTable>, readings: Readings<MetricTable>, lens: Lens): Row {
  const { label } = row;
  switch (row.kind) {
    case 'rate':
      return { kind: 'rate', label, recent: recentOf(row.of, lens), courses: coursesOf(row.of, true, lens) };
    case 'count':
      return { kind: 'count', label, ...countOf(row, lens) };
    case 'latency':
      return { kind: 'latency', label, ...quantilesOf(row.of, lens) };
    case 'shares':
      return { kind: 'shares', label, ...sharesOf(row.parts, lens) };
    case 'state':
      return { kind: 'state', label, ...row.judge(readings) };
  }
}

function recentOf(measure: AnyMeasure, { past, rate, round }: Lens) {
  return rate ? { seconds: secondsOf(rate), count: round(growth(past, measure, rate)) } : null;
}

const coursesOf = (measure: AnyMeasure, grows: boolean, { past, courses }: Lens): Course[] =>
  courses.map((steps) => course(past, measure, grows, steps));

function countOf({ of, exact }: { of: AnyMeasure; exact?: true }, lens: Lens) {
  const value = Math.max(0, Math.round(lens.past.index.value(lens.past.now, of)));
  if (exact) return { count: { exactly: value }, courses: [] };
  return { count: lens.round(value), courses: coursesOf(of, false, lens) };
}

function quantilesOf(histogram: string, { past, window }: Lens) {
  if (window === undefined) return { seconds: HOUR_MS / 1000, quantiles: null };
  const buckets = past.index.buckets(histogram, window.from, window.to);
  const at = (part: number): number => Number((quantile(buckets, part) ?? 0).toPrecision(2));
  const isTelling = (buckets.at(-1)?.count ?? 0) >= SMALL;
  const quantiles = isTelling ? { p50: at(0.5), p95: at(0.95), p99: at(0.99) } : null;
  return { seconds: secondsOf(window), quantiles };
}

function sharesOf(parts: readonly PartDescription<MetricTable>[], { past, window, round, sinceStart }: Lens) {
  return {
    seconds: window ? secondsOf(window) : HOUR_MS / 1000,
    parts: parts.map(({ label, state, of }) => ({
      label,
      state,
      recent: window ? round(growth(past, of, window)) : null,
      sinceStart: sinceStart ? round(past.index.value(past.now, of)) : null,
    })),
  };
}

const secondsOf = ({ from, to }: Window): number => Math.max(1, Math.round((to.at - from.at) / 1000));
const isoOf = (wall: number): string => new Date(wall).toISOString();
