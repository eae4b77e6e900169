/** The tables of deploy/guides/metrics.md: all but the last column is what the code says, so that it can't rot. */
import type { MetricSpec } from '../../shared/run/metrics.js';
import { SERVICES } from './metric-tables.js';

const HEAD = '| metric | type | labels | meaning | what to do |\n|---|---|---|---|---|';
const MISSING = '';

const cell = (text: string): string => text.replaceAll('|', '\\|').replace(/\.$/, '');

function row(name: string, { kind, labels = {}, help }: MetricSpec, advice: string): string {
  const said = Object.entries(labels).map(([label, values]) => `\`${label}\`: ${values.join(', ')}`);
  return `| \`${name}\` | ${kind} | ${said.join('; ') || '–'} | ${cell(help)} | ${advice} |`;
}

/** What to do, by metric, as the guide says it now. */
export function adviceIn(guide: string): Map<string, string> {
  const rows = guide.matchAll(/^\| `([a-z_]+)` \|.*\| ([^|]*) \|$/gm);
  return new Map([...rows].map(([, name, advice]) => [name!, advice!.trim()]));
}

/** The guide with its tables made anew between their marks; advice is kept. */
export function renewed(guide: string): string {
  const advice = adviceIn(guide);
  return Object.entries(SERVICES).reduce((text, [service, table]) => {
    const prefix = `porchlight_${service}_`;
    const rows = Object.entries<MetricSpec>(table).map(([name, spec]) =>
      row(prefix + name, spec, advice.get(prefix + name) ?? MISSING),
    );
    const [begin, end] = [`<!-- ${service} -->`, `<!-- end of ${service} -->`];
    const [before, rest] = text.split(begin);
    const after = rest!.split(end)[1];
    return `${before}${begin}\n${[HEAD, ...rows].join('\n')}\n${end}${after}`;
  }, guide);
}
