/** Whether a gateway can be used: its statement, a signed hello, our clock, and the apps of our listeners. */
import type { ProblemCode } from '../../../../shared/relay/problem.js';
import type { Finding } from '../../../../shared/run/doctor.js';
import type { RequestResult } from '../../outbound/batcher.js';
import type { GatewayFacts, GatewayLink } from '../../outbound/gateway-link.js';
import type { StatementJudgement } from '../../outbound/statements.js';
import { type Hops, HopTrouble, inTime, Stopped } from './hops.js';

/** An app that a listener serves through this gateway. */
export interface ServedApp {
  readonly name: string;
  readonly topic: string;
  readonly profile: string;
}

const STATEMENT_MS = 12_000;
const HELLO_MS = 10_000;
/** A gateway accepts requests that are a minute off; more is corrected by what it says of its own clock. */
const CLOCK_SECONDS = 60;

const CLOCK_FIX = "set this machine's clock (NTP); if it is right, the gateway's is wrong";
const OPERATOR = "ask the gateway's operator for its present address";

const STATEMENT_FIXES: Readonly<Record<Exclude<StatementJudgement, 'accepted'>, string>> = {
  unreachable:
    "check host and port in the gateway's address, DNS, this machine's firewall, ca_file and socks_proxy; is the gateway running?",
  malformed: 'something else answers at this address, or the gateway is of another version',
  'wrong-fingerprint': `another gateway answers than the address names; ${OPERATOR}`,
  'bad-signature': `somebody in between changes the statement, or another gateway answers; ${OPERATOR}`,
  version: 'update this subscriber, or have the gateway updated',
  'not-yet-valid': CLOCK_FIX,
  expired: CLOCK_FIX,
  'older-than-seen': 'an old statement is shown again; check caches and replicas in front of the gateway',
  'wrong-tls-key':
    'TLS ends somewhere else than at the gateway; give ca_file where its certificate is not a public one',
};

const REFUSAL_FIXES: Partial<Record<ProblemCode, string>> = {
  'not-listed':
    'the gateway serves only subscribers that it lists; give its operator the key that "porchlight pair" prints',
  clock: CLOCK_FIX,
  'bad-signature': `the gateway does not accept this identity's signatures; ${OPERATOR}`,
  version: 'update this subscriber, or have the gateway updated',
};

/** Tells the findings of one gateway. */
export async function checkGateway(
  hops: Hops,
  name: string,
  link: GatewayLink,
  apps: readonly ServedApp[],
): Promise<void> {
  const where = `gateway ${name}`;
  try {
    await hops.hop(`${where}: statement`, 'valid', () => statement(hops, link));
    await hops.hop(`${where}: signed hello`, 'accepted', () => hello(hops, link));
  } catch (error) {
    if (error instanceof Stopped) return; // the others are looked at all the same
    throw error;
  }
  const { facts } = link;
  if (facts !== undefined) for (const finding of judge(where, facts, apps)) hops.say(finding);
}

/** Fetched, and with a sealing key in force. */
async function statement(hops: Hops, link: GatewayLink): Promise<void> {
  const judgement = await inTime(hops.clock, hops.atMost(STATEMENT_MS), link.askStatement());
  const refused = judgement ?? 'unreachable';
  if (refused !== 'accepted') throw new HopTrouble(`not accepted: ${refused}`, STATEMENT_FIXES[refused]);
  if (link.facts === undefined)
    throw new HopTrouble('no sealing key in force', "the gateway's operator has to make one");
}

async function hello(hops: Hops, link: GatewayLink): Promise<void> {
  const result = (await inTime(hops.clock, hops.atMost(HELLO_MS), link.hello())) ?? noAnswer;
  if (result.kind === 'done') return;
  if (result.kind === 'refused') {
    const fix = REFUSAL_FIXES[result.code] ?? 'tell the operator of the gateway this word';
    throw new HopTrouble(`refused: ${result.code}`, fix);
  }
  throw new HopTrouble(...HELLO_TROUBLES[result.kind]);
}

const noAnswer: RequestResult = { kind: 'no-answer' };
const HELLO_TROUBLES: Readonly<Record<'no-answer' | 'later' | 'unavailable', [detail: string, fix: string]>> =
  {
    'no-answer': [
      'no answer',
      "the statement came but requests don't pass: check proxies and load balancers in front of the gateway",
    ],
    later: ['too many requests', 'wait some minutes; other subscribers may be at this address as well'],
    unavailable: [
      'the gateway takes no pushes now',
      "its operator's doctor tells why; wake-ups wait meanwhile",
    ],
  };

function* judge(where: string, facts: GatewayFacts, apps: readonly ServedApp[]): Iterable<Finding> {
  const off = facts.clockOffset;
  const isClose = Math.abs(off) <= CLOCK_SECONDS;
  const detail = off === 0 ? 'as far as it ever complained, equal' : `the gateway's is ${off} s ahead`;
  yield {
    name: `${where}: clocks`,
    state: isClose ? 'ok' : 'warning',
    detail,
    ...(!isClose && { fix: CLOCK_FIX }),
  };
  for (const { name, topic, profile } of apps) {
    const profiles = facts.profiles.get(topic);
    const finding = { name: `${where}: app of ${name}` };
    if (profiles === undefined) {
      const fix = "check the listener's topic, or ask the operator to serve this app";
      yield { ...finding, state: 'failed', detail: 'not served by this gateway', fix };
    } else if (!profiles.includes(profile)) {
      const fix = `set the listener's profile to ${profiles.join(' or ')}, as the gateway has it`;
      yield { ...finding, state: 'failed', detail: 'served in another profile', fix };
    } else yield { ...finding, state: 'ok', detail: `served, profile ${profile}` };
  }
}
