/**
 * One signed push to a token that no device has, over the engine's own connection: it proves that Apple takes key,
 * team and topic. Silent and of the lowest priority, should the token belong to somebody after all.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { toHex, utf8 } from '../../../shared/encoding/bytes.js';
import type { Environment } from '../../../shared/relay/identity.js';
import { type Clock, seconds } from '../../../shared/run/clock.js';
import type { Finding } from '../../../shared/run/doctor.js';
import type { Answer, Connection, Dial } from '../apns/connection.js';
import type { ApnsPush } from '../apns/engine.js';
import { APNS_LIMITS } from '../apns/options.js';
import { type ProviderKey, ProviderTokens } from '../apns/provider-token.js';
import { reasonWord } from '../apns/reasons.js';
import { verdictOn } from './verdicts.js';

const TOKEN_SIZE = 32;
const BODY = utf8('{"aps":{"content-available":1}}');
/** Clocks may differ by this; Apple refuses signatures at an hour. */
const CLOCK_TOLERANCE_MS = 60_000;
const HOUR_MS = 3_600_000;

export interface DryPush {
  readonly name: string;
  readonly environment: Environment;
  readonly topic: string;
  readonly key: ProviderKey;
  readonly dial: Dial;
  readonly crypto: Pick<Crypto, 'randomBytes'>;
  readonly clock: Clock;
}

/** What Apple says, and what its clock shows. */
export async function* examinePush(push: DryPush): AsyncGenerator<Finding> {
  const { clock, name } = push;
  const start = clock.monotonic();
  const answer = await exchange(push);
  const ms = clock.monotonic() - start;
  if (answer?.kind !== 'response') {
    yield {
      name: `${name}: push`,
      state: 'failed',
      detail: answer === undefined ? 'no answer in time' : 'the connection ended before an answer',
      fix: 'ask again; if it stays, something in between cuts HTTP/2',
    };
    return;
  }
  const { status, reason, dateMs } = answer;
  const { state, means, fix } = verdictOn(status, reason);
  const detail = `${status} ${reasonWord(reason)}: ${means}`;
  yield { name: `${name}: push`, state, detail, ms, ...(fix !== undefined && { fix }) };
  yield clockFinding(`${name}: clock`, dateMs, clock);
}

function clockFinding(name: string, dateMs: number | undefined, clock: Clock): Finding {
  if (dateMs === undefined) {
    const fix = 'compare by hand: timedatectl';
    return { name, state: 'skipped', detail: 'the answer bears no time', fix };
  }
  const off = clock.now() - dateMs;
  const detail = `${Math.round(Math.abs(off) / 1_000)} s ${off < 0 ? 'behind' : 'ahead'}`;
  if (Math.abs(off) <= CLOCK_TOLERANCE_MS) return { name, state: 'ok', detail };
  const fix = 'set the clock of this machine: timedatectl set-ntp true';
  return { name, state: Math.abs(off) < HOUR_MS ? 'warning' : 'failed', detail, fix };
}

/** Undefined where nothing came in time. The connection is closed in every case. */
function exchange(push: DryPush): Promise<Answer | undefined> {
  const { clock, key, dial } = push;
  const authorization = new ProviderTokens(key, clock).current().authorization;
  return new Promise((resolve) => {
    let isSent = false;
    const done = (answer: Answer | undefined): void => {
      deadline.cancel();
      resolve(answer);
      connection.destroy();
    };
    const deadline = clock.after(APNS_LIMITS.connectMs + APNS_LIMITS.answerMs, () => done(undefined));
    const connection: Connection = dial({
      settings() {
        if (isSent) return;
        isSent = true;
        if (!connection.send(authorization, { push: madeUp(push), answered: done })) done(LOST);
      },
      goaway() {},
      closed: () => done(LOST),
    });
  });
}

const LOST: Answer = { kind: 'unknown' };

function madeUp({ environment, topic, crypto, clock }: DryPush): ApnsPush {
  const bytes = crypto.randomBytes(TOKEN_SIZE);
  const token = environment === 'test' ? utf8(toHex(bytes)) : bytes;
  const expiration = seconds(clock);
  return {
    environment,
    topic,
    token,
    pushType: 'background',
    priority: 5,
    expiration,
    body: BODY,
    provenAt: 0,
  };
}
