/** The demo's words. In a terminal with colours; in a pipe the same lines without. */
import { table } from '../../shared/run/table.js';
import type { PushDelivery } from './apns-control.js';
import type { Letter } from './end-to-end.js';
import { HOPS, type Hop } from './journey.js';
import type { Knowledge } from './knowledge.js';
import type { Milestones } from './milestones.js';
import type { Screen } from './screen.js';

/** What may break in the middle. */
export type FaultName = 'apns-down' | 'gateway-restart' | 'smp-restart';

/** What is killed for good where there are several gateways. */
export type LossName = 'gateway-killed' | 'redis-killed';

const BROKEN: Readonly<Record<FaultName | LossName, string>> = {
  'apns-down': "Apple's service is away",
  'gateway-restart': 'the gateway was stopped',
  'smp-restart': 'the messaging server was stopped before it told anybody',
  'gateway-killed': 'one of the gateways was killed, and took its counts along',
  'redis-killed': 'Redis was killed: what is left counts its share alone',
};
const MENDED: Readonly<Record<FaultName, string>> = {
  'apns-down': "Apple's service is back",
  'gateway-restart': 'the gateway runs again',
  'smp-restart': 'the messaging server runs again',
};

export class Narrator {
  private readonly screen: Screen;

  constructor(screen: Screen) {
    this.screen = screen;
  }

  begin(): void {
    this.say(['bold', 'yellow'], 'Porchlight');
    this.screen.line(
      'A message waits at a messaging server. Three parties wake the phone; none learns who talks when.',
    );
    this.screen.line();
  }

  parties(places: readonly (readonly [string, string])[]): void {
    for (const line of table(places, (cell, _, column) => (column === 0 ? this.style('cyan', cell) : cell))) {
      this.screen.line(`  ${line}`);
    }
    this.screen.line();
  }

  registered(): void {
    this.screen.line('The phone registered with the subscriber, answered the verification push, and sleeps.');
    this.screen.line();
  }

  sent({ number, text }: Letter): void {
    this.screen.line(`${this.style('bold', `message ${number}`)}  ${this.style('dim', `“${text}”`)}`);
  }

  opened(letter: Letter, hops: readonly { hop: Hop; at: number }[]): void {
    for (const { hop, at } of hops) {
      const time = `+${String(at - letter.sentAt).padStart(5)} ms`;
      const text = hop === 'opened' ? `${HOPS[hop]}: “${letter.text}”` : HOPS[hop];
      this.screen.line(
        `  ${this.style('dim', time)}  ${hop === 'opened' ? this.style('green', text) : text}`,
      );
    }
    this.screen.line();
  }

  missing({ number }: Letter): void {
    this.say('red', `  message ${number} was not opened`);
    this.screen.line();
  }

  broken(fault: FaultName | LossName): void {
    this.say('red', `  ✗ ${BROKEN[fault]}`);
  }

  mended(fault: FaultName): void {
    this.say('green', `  ✓ ${MENDED[fault]}`);
  }

  knowledge(knowledge: Knowledge | undefined): void {
    this.say('bold', 'Who learnt what');
    if (knowledge === undefined) {
      this.screen.line(
        '  (this system does not let a process look into its children, so it was not measured)',
      );
    } else {
      const style = (cell: string, row: number) =>
        row === 0 ? this.style('dim', cell) : cell.startsWith('yes') ? this.style('yellow', cell) : cell;
      for (const line of table(knowledge.rows, style)) this.screen.line(`  ${line}`);
      for (const breach of knowledge.breaches) this.say('red', `  BROKEN PROMISE  ${breach}`);
    }
    this.screen.line();
  }

  /** Every push that Apple took, which is all it knows. */
  applesView(pushes: readonly PushDelivery[]): void {
    const kinds = new Map<string, number>();
    for (const { pushType, payload } of pushes) {
      const kind = `${pushType} push of ${payload.length} bytes`;
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    }
    this.say('bold', 'All that Apple saw');
    for (const [kind, count] of kinds) this.screen.line(`  ${count} × ${kind}`);
    const last = pushes.at(-1)?.payload;
    if (last) this.screen.line(this.style('dim', `  the last one: ${last.slice(0, 190)}…`));
    this.screen.line();
  }

  /** What the services counted, verification pushes included. */
  milestones({ passed, stopped, hops }: Milestones): void {
    this.say('bold', 'Milestones, counted by the services since they started');
    for (const line of table(passed)) this.screen.line(`  ${line}`);
    for (const line of table(stopped)) this.screen.line(`  ${this.style('red', 'stopped')}  ${line}`);
    const header = ['hop', 'half of them', '95 %'];
    const style = (cell: string, row: number) => (row === 0 ? this.style('dim', cell) : cell);
    for (const line of table([header, ...hops], style)) this.screen.line(`  ${line}`);
    this.screen.line();
  }

  goingOn(ms: number): void {
    this.screen.line();
    this.screen.line(`Another message every ${ms / 1000} seconds. Ctrl-C ends it.`);
    this.screen.line();
  }

  end(opened: number, messages: number): void {
    this.say(
      ['bold', opened === messages ? 'green' : 'red'],
      `demo: ${opened} of ${messages} messages opened by the phone`,
    );
  }

  private style(style: Parameters<Screen['styled']>[0], text: string): string {
    return this.screen.styled(style, text);
  }

  private say(style: Parameters<Screen['styled']>[0], text: string): void {
    this.screen.line(this.style(style, text));
  }
}
