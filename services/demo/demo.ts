/**
 * The demo's story: everybody starts, a friend writes, the phone wakes up and reads; on request something breaks in
 * the middle. Says what happened and whether every message was opened.
 */
import { loadCrypto } from '../../shared/crypto/load.js';
import { sleep, systemClock } from '../../shared/run/clock.js';
import { Friend } from './friend.js';
import { Journey } from './journey.js';
import { measureKnowledge } from './knowledge.js';
import { readMilestones } from './milestones.js';
import { type FaultName, Narrator } from './narrator.js';
import type { Invitation, PhoneReport } from './phone-reports.js';
import type { Screen } from './screen.js';
import { createWorld, type World } from './world.js';

export interface DemoOptions {
  readonly messages: number;
  readonly once: boolean;
  readonly fault?: FaultName | undefined;
  /** How many share Redis; from two on, one of them is killed in the middle, and then Redis. */
  readonly gateways?: number;
  readonly screen: Screen;
}

/** For registration; and for each message, whatever broke in between. */
const PATIENCE_MS = 20_000;
/** How long what was broken stays so. */
const BROKEN_MS = 1_500;
const POLL_MS = 10;
/** Without `--once`, after the first messages. */
const PAUSE_MS = 5_000;

const TEXTS = [
  'Are you awake?',
  'The porch light is on.',
  'Soup is on the stove.',
  'Bring the dog.',
  'No hurry.',
];

export class Demo {
  private readonly options: DemoOptions;
  private readonly narrator: Narrator;
  private readonly journey = new Journey();
  private readonly opened = new Map<number, number>();
  private asleep = false;
  private invitation: Invitation | undefined;
  private world: World | undefined;
  private friend: Friend | undefined;
  private closing: Promise<void> | undefined;

  constructor(options: DemoOptions) {
    this.options = options;
    this.narrator = new Narrator(options.screen);
  }

  /** Resolves with whether all messages were opened; rejects where the parties could not be started. */
  async run(): Promise<boolean> {
    const { messages, once, gateways = 1 } = this.options;
    this.narrator.begin();
    this.world = await createWorld(
      { gateways },
      {
        onHop: (hop, at) => this.journey.note(hop, at),
        onPhone: (report) => this.hear(report),
      },
    );
    this.narrator.parties(this.world.places);
    if (!(await this.within(PATIENCE_MS, () => this.invitation !== undefined))) {
      this.narrator.end(0, messages);
      return false;
    }
    this.narrator.registered();
    this.friend = new Friend(await loadCrypto(), this.world.messagingServer, this.invitation!);
    const middle = Math.ceil((messages + 1) / 2);
    for (let n = 1; n <= messages; n++) {
      await this.killSome(n, middle);
      await this.tell(n, n === middle);
    }
    const text = textOf(messages);
    this.narrator.knowledge(measureKnowledge(this.world, this.invitation!, text));
    this.narrator.applesView(await this.world.apple.accepted(this.invitation!.deviceToken));
    this.narrator.milestones(await readMilestones(this.world.metricsPorts));
    this.narrator.end(this.opened.size, messages);
    if (!once) await this.goOn(messages + 1);
    return this.opened.size >= messages;
  }

  /** Ends everybody. May be called at any time, and more than once. */
  close(): Promise<void> {
    this.friend?.close();
    this.closing ??= this.world?.close() ?? Promise.resolve();
    return this.closing;
  }

  private async tell(number: number, isMiddle: boolean): Promise<void> {
    const fault = isMiddle ? this.options.fault : undefined;
    if (fault && fault !== 'smp-restart') await this.breakPart(fault);
    await this.within(PATIENCE_MS, () => this.asleep); // or it would read without being woken
    const letter = { number, text: textOf(number), sentAt: systemClock.now() };
    await this.friend!.send(letter);
    this.journey.note('accepted');
    this.narrator.sent(letter);
    if (fault) await this.mend(fault);
    await this.within(PATIENCE_MS, () => this.opened.has(number));
    const openedAt = this.opened.get(number);
    if (openedAt === undefined) this.narrator.missing(letter);
    else this.narrator.opened(letter, this.journey.between(letter.sentAt, openedAt));
  }

  /** In the middle one of several gateways, before the next message Redis; both before the last where there is no next. */
  private async killSome(number: number, middle: number): Promise<void> {
    const gateways = this.world?.gateways;
    if (gateways === undefined) return;
    if (number === middle) {
      await gateways.killGateway();
      this.narrator.broken('gateway-killed');
    }
    if (number === Math.min(middle + 1, this.options.messages)) {
      await gateways.killRedis();
      this.narrator.broken('redis-killed');
    }
  }

  private async breakPart(fault: 'apns-down' | 'gateway-restart'): Promise<void> {
    this.narrator.broken(fault);
    if (fault === 'apns-down') await this.world!.apple.set('down');
    else await this.world!.party('gateway').stop();
  }

  private async mend(fault: FaultName): Promise<void> {
    if (fault === 'smp-restart') {
      // Before the notification left: a server that stops in good order keeps it.
      this.narrator.broken(fault);
      await this.world!.party('messaging server').stop();
    }
    await sleep(systemClock, BROKEN_MS);
    if (fault === 'apns-down') await this.world!.apple.set('up');
    else await this.world!.party(fault === 'smp-restart' ? 'messaging server' : 'gateway').start();
    this.narrator.mended(fault);
  }

  private async goOn(from: number): Promise<void> {
    this.narrator.goingOn(PAUSE_MS);
    for (let n = from; this.closing === undefined; n++) {
      await this.tell(n, false);
      await sleep(systemClock, PAUSE_MS);
    }
  }

  private hear(report: PhoneReport): void {
    if (report.kind === 'invitation') this.invitation = report.invitation;
    else if (report.kind === 'pushed') this.journey.note('delivered', report.at);
    else if (report.kind === 'asleep') this.asleep = true;
    else {
      this.asleep = false;
      this.opened.set(report.letter.number, report.at);
      this.journey.note('opened', report.at);
    }
  }

  private async within(ms: number, holds: () => boolean): Promise<boolean> {
    const end = systemClock.monotonic() + ms;
    while (!holds() && systemClock.monotonic() < end && this.closing === undefined)
      await sleep(systemClock, POLL_MS);
    return holds();
  }
}

const textOf = (number: number): string => TEXTS[(number - 1) % TEXTS.length]!;
