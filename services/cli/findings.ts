/** What a doctor found, as a person reads it: a line a hop, and below each that is not in order what to do about it. */
import type { ControlLine } from '../../shared/run/control-client.js';
import { doctorStatus, type Finding } from '../../shared/run/doctor.js';
import { table } from '../../shared/run/table.js';

const INDENT = '    ';

/** Prints all findings and sets the exit status: 1 where something failed. */
export function reportFindings(findings: readonly Finding[]): void {
  for (const line of findingLines(findings)) process.stdout.write(`${line}\n`);
  process.exitCode = doctorStatus(findings);
}

/** A table of hop, state, time and detail; the fix stands below its hop. */
export function findingLines(findings: readonly Finding[]): string[] {
  const rows = findings.map(({ name, state, ms, detail }) => [name, state, timeOf(ms), detail]);
  const [head, ...lines] = table([['hop', 'state', 'time', 'detail'], ...rows]);
  return [
    head!,
    ...lines.flatMap((line, i) => {
      const { fix } = findings[i]!;
      return fix === undefined ? [line] : [line, `${INDENT}${fix}`];
    }),
  ];
}

const timeOf = (ms: number | undefined): string => (ms === undefined ? '' : `${Math.round(ms)} ms`);

/** A finding that came over the control socket. */
export function findingOf({ name, state, detail, ms, fix }: ControlLine): Finding {
  return {
    name: String(name),
    state: state as Finding['state'],
    detail: String(detail),
    ...(typeof ms === 'number' && { ms }),
    ...(typeof fix === 'string' && { fix }),
  };
}
