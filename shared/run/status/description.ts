/**
 * How a service describes its status page: which metrics make which hop, panel and row. Only data and small
 * judgements; names and labels are typed by the service's metric tables, so a misspelt one does not compile.
 */
import type { Labels } from '../counts.js';
import type { MetricSpec, MetricTable } from '../metrics.js';
import type { State, Status } from './schema.js';

type Where<S extends MetricSpec> = S['labels'] extends Labels
  ? { readonly [L in keyof S['labels']]?: S['labels'][L][number] | readonly S['labels'][L][number][] }
  : Readonly<Record<string, never>>;

/** Samples of one metric, summed over the labels that `where` leaves open. */
export type Measure<T extends MetricTable> = {
  [N in keyof T & string]: { readonly metric: N; readonly where?: Where<T[N]> };
}[keyof T & string];

type HistogramName<T extends MetricTable> = {
  [N in keyof T & string]: T[N]['kind'] extends 'histogram' ? N : never;
}[keyof T & string];

/** What a judgement may ask. */
export interface Readings<T extends MetricTable> {
  /** Why the service can't do its work, in our own words; undefined when it can. */
  readonly notReady: string | undefined;
  /** The value now: for the service's own things, never for what people do. */
  now(measure: Measure<T>): number;
  /** Whether there are so many that no one stands out. */
  crowd(measure: Measure<T>): boolean;
  /** By how much a counter grew in the last five minutes, rounded as on the page; 0 for few. */
  recent(measure: Measure<T>): number;
  /** Whether there is such a metric: some belong to parts that are not always there. */
  knows(measure: Measure<T>): boolean;
}

export interface Judgement {
  readonly state: State;
  /** A few words of ours, without counts of what people do. */
  readonly says: string;
}

export type Judge<T extends MetricTable> = (readings: Readings<T>) => Judgement;

export interface HopDescription<T extends MetricTable> {
  readonly name: string;
  readonly here?: true;
  readonly judge: Judge<T>;
}

interface PublicRow {
  /** On the public page too. */
  readonly isPublic?: true;
}

export type RowDescription<T extends MetricTable> = { readonly label: string } & (
  | ({ readonly kind: 'rate'; readonly of: Measure<T> } & PublicRow)
  | ({ readonly kind: 'latency'; readonly of: HistogramName<T> } & PublicRow)
  | ({ readonly kind: 'shares'; readonly parts: readonly PartDescription<T>[] } & PublicRow)
  /** `exact` only for what is the service's own, such as its connections to Apple. */
  | { readonly kind: 'count'; readonly of: Measure<T>; readonly exact?: true }
  | { readonly kind: 'state'; readonly judge: Judge<T> }
);

export interface PartDescription<T extends MetricTable> {
  readonly label: string;
  readonly state: State;
  readonly of: Measure<T>;
}

export interface PanelDescription<T extends MetricTable> {
  readonly title: string;
  /** One sentence under the title. */
  readonly says: string;
  readonly rows: readonly RowDescription<T>[];
}

export interface StatusDescription<T extends MetricTable = MetricTable> {
  readonly service: Status['service'];
  readonly tables: T;
  /** The four stations, left to right. */
  readonly hops: readonly HopDescription<T>[];
  readonly panels: readonly PanelDescription<T>[];
}
