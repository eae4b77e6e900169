/** A status as one HTML page: no script, nothing fetched, everything escaped. Pure. */
import { html, raw } from 'hono/html';
import {
  courseDrawing,
  type Html,
  lamp,
  latencyDrawing,
  levelDrawing,
  shareDrawing,
  stateSign,
} from './drawings.js';
import { heightOf } from './rounding.js';
import type { Course, Hop, Panel, Row, RowOf, State, Status } from './schema.js';
import { STYLE } from './style.js';
import {
  countText,
  courseCaption,
  durationText,
  memoryText,
  momentText,
  numberText,
  rateText,
  SERVICE_WORDS,
  STATE_WORDS,
  spanText,
  timeText,
} from './words.js';

export interface PageOptions {
  /** Seconds after which the browser loads the page again; only for those who asked for it. */
  readonly refreshSeconds?: number;
}

/** The whole document. */
export function statusPage(status: Status, { refreshSeconds }: PageOptions = {}): string {
  const service = SERVICE_WORDS[status.service];
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
${refreshSeconds ? html`<meta http-equiv="refresh" content="${refreshSeconds}">` : ''}
<title>${STATE_WORDS[status.state]}: Porchlight ${service.toLowerCase()}</title>
<link rel="icon" href="${icon(status.state)}">
<style>${raw(STYLE)}</style>
</head>
<body>
<header>${lamp(status.state)}<div>
<p class="brand">Porchlight</p>
<h1>${service}</h1>
</div></header>
<main>
<section class="verdict ${status.state}" aria-label="Verdict">
<p class="says">${stateSign(status.state)} ${status.says}</p>
<p class="facts">${facts(status)}</p>
</section>
<section aria-labelledby="way"><h2 id="way">The way of a wake-up</h2>
<ol class="hops">${status.hops.map(hop)}</ol></section>
${status.view === 'public' ? hour(status) : ''}
<div class="panels">${status.panels.map(panel)}</div>
</main>
<footer>${status.view === 'public' ? publicNotes() : operatorNotes(refreshSeconds)}</footer>
</body>
</html>
`;
  return page.toString();
}

function facts({ at, process }: Status): Html {
  const time = html`<time datetime="${at}">${momentText(at)}</time>`;
  if (process === null) return html`<span>${time}</span>`;
  const { version, crypto, uptimeSeconds, residentBytes } = process;
  const back = crypto === 'native' ? 'native libsodium' : 'libsodium in WebAssembly';
  const said = [`up ${spanText(uptimeSeconds)}`, `version ${version}`, back, memoryText(residentBytes)];
  return html`<span>${time}</span>${said.map((fact) => html` <span>${fact}</span>`)}`;
}

const hop = ({ name, here, state, says }: Hop): Html => html`<li class="${state}${here ? ' here' : ''}">
<span class="stop">${stateSign(state)}</span>
<span class="name">${name}${here ? html` <small>this service</small>` : ''}</span>
<span class="state">${STATE_WORDS[state]}</span>
${says === '' ? '' : html`<span class="detail">${says}</span>`}</li>`;

const hour = ({ hour }: Status): Html =>
  hour === null
    ? html`<p class="hour">No figures yet: an hour's figures are shown when it has been over for an hour.</p>`
    : html`<p class="hour">Figures of the hour from <time datetime="${hour.from}">${timeText(hour.from)}</time> to
<time datetime="${hour.to}">${timeText(hour.to)}</time>.</p>`;

function panel({ title, says, rows }: Panel, index: number): Html {
  const id = `panel-${index}`;
  return html`<section class="panel" aria-labelledby="${id}"><h2 id="${id}">${title}</h2><p>${says}</p>
<dl>${rows.map((row) => html`<div class="row of-${row.kind}"><dt>${row.label}</dt>${cells(row)}</div>`)}</dl></section>`;
}

function cells(row: Row): Html {
  switch (row.kind) {
    case 'rate':
      return rate(row);
    case 'count':
      return html`<dd class="value">${'exactly' in row.count ? numberText(row.count.exactly) : countText(row.count)}</dd>${drawings(row.courses, levelDrawing)}`;
    case 'latency':
      return latency(row);
    case 'shares':
      return shares(row);
    case 'state':
      return html`<dd class="value word">${stateSign(row.state)} ${row.says}</dd>`;
  }
}

function rate({ recent, courses }: RowOf<'rate'>): Html {
  const [amount, unit] = recent ? rateText(recent) : ['–', 'not known yet'];
  return html`<dd class="value">${amount} <small>${unit}</small></dd>${drawings(courses, courseDrawing)}`;
}

const drawings = (courses: readonly Course[], draw: (course: Course) => Html): Html | '' =>
  courses.length === 0
    ? ''
    : html`<dd class="courses">${courses.map(
        (course) =>
          html`<span>${draw(course)}<small aria-hidden="true">${courseCaption(course)}</small></span>`,
      )}</dd>`;

function latency({ seconds, quantiles }: RowOf<'latency'>): Html {
  if (quantiles === null) {
    return html`<dd class="value">– <small>too few in ${spanText(seconds)} to tell</small></dd>`;
  }
  const { p50, p95, p99 } = quantiles;
  return html`<dd class="value">${durationText(p50)} <small>half</small></dd>
<dd class="courses wide">${latencyDrawing(quantiles)}<small>95 % within <b>${durationText(p95)}</b>, 99 % within
<b>${durationText(p99)}</b>, in ${spanText(seconds)}</small></dd>`;
}

function shares({ label, seconds, parts }: RowOf<'shares'>): Html {
  const whole = Math.max(
    1,
    parts.reduce((sum, { recent }) => sum + (recent ? heightOf(recent) : 0), 0),
  );
  const sinceStart = parts.some((part) => part.sinceStart !== null);
  return html`<dd class="table"><table aria-label="${label}"><thead><tr><th scope="col">What</th><td></td>
<th scope="col">${spanText(seconds)}</th>${sinceStart ? html`<th scope="col">since start</th>` : ''}</tr></thead><tbody>
${parts.map(
  (
    part,
  ) => html`<tr><th scope="row">${stateSign(part.recent && 'about' in part.recent ? part.state : 'idle')}${part.label}</th>
<td class="bar">${shareDrawing(part.recent ? heightOf(part.recent) / whole : 0)}</td>
<td>${part.recent ? countText(part.recent) : '–'}</td>
${part.sinceStart ? html`<td>${countText(part.sinceStart)}</td>` : ''}</tr>`,
)}</tbody></table></dd>`;
}

const operatorNotes = (refreshSeconds: number | undefined): Html => html`
<p>Counts of what people do are rounded: fewer than 16 are not told apart, not even from none; up to 1,024 they are
powers of two, above it two digits. The page is for the operator; what may be published is at <a href="/public">/public</a>.</p>
<nav aria-label="Other forms"><a href="/status.json">JSON</a> <a href="/metrics">Metrics</a>
${
  refreshSeconds
    ? html`<a href="/status">Stop loading every ${refreshSeconds} s</a>`
    : html`<a href="/status?refresh">Load again every 30 s</a>`
}</nav>`;

const publicNotes = (): Html => html`
<p>Counts are powers of two, at least an hour old, and fewer than 16 are not told apart, so that they tell of no one.
Health is of this moment.</p>
<nav aria-label="Other forms"><a href="/public.json">JSON</a></nav>`;

const ICON_COLOURS: Readonly<Record<State, string>> = {
  ok: '#e9a13b',
  idle: '#e9a13b',
  unseen: '#e9a13b',
  warn: '#c9772b',
  down: '#b3261e',
};

const icon = (state: State): string =>
  `data:image/svg+xml,${encodeURIComponent(
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7" fill="${ICON_COLOURS[state]}"/></svg>`,
  )}`;
