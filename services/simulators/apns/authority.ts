/**
 * Who may push on a connection (apns.md §6): the token's age and signature, one token in 20 minutes, and the team,
 * key and topics that the first push binds the connection to.
 */
import type { Environment } from '../../../shared/relay/identity.js';
import { type Clock, seconds } from '../../../shared/run/clock.js';
import type { SimulatedKey, SimulatedTeam, SimulatorRules } from './options.js';
import { type ParsedToken, parseProviderToken, signatureForm } from './provider-token.js';
import { type Refusal, refuse } from './refusal.js';

const MAX_AGE_SECONDS = 3_600;
const MIN_CHANGE_MS = 20 * 60_000;
/** Verified tokens that are remembered. */
const MAX_VERIFIED = 256;

interface Verified {
  readonly token: ParsedToken;
  readonly team: SimulatedTeam;
  readonly key: SimulatedKey;
  readonly form: 'raw' | 'der';
}

/** All teams and keys, with the tokens that were already verified. */
export class Authority {
  readonly clock: Clock;
  readonly rules: SimulatorRules;
  /** Requests whose token was signed in DER. */
  derSignatures = 0;
  private readonly teams: readonly SimulatedTeam[];
  private readonly verified = new Map<string, Verified>();

  constructor(teams: readonly SimulatedTeam[], rules: SimulatorRules, clock: Clock) {
    this.teams = teams;
    this.rules = rules;
    this.clock = clock;
  }

  verify(text: string): Verified | undefined {
    const known = this.verified.get(text);
    const verified = known ?? this.check(text);
    if (verified === undefined) return undefined;
    if (verified.form === 'der') this.derSignatures++;
    if (known === undefined) {
      if (this.verified.size >= MAX_VERIFIED) this.verified.delete(this.verified.keys().next().value!);
      this.verified.set(text, verified);
    }
    return verified;
  }

  private check(text: string): Verified | undefined {
    const token = parseProviderToken(text);
    const team = token && this.teams.find(({ teamId }) => teamId === token.teamId);
    const key = token && team?.keys.find(({ keyId }) => keyId === token.keyId);
    const form = token && key && signatureForm(token, key.publicKey);
    return token && team && key && form ? { token, team, key, form } : undefined;
  }
}

interface Binding {
  readonly team: SimulatedTeam;
  readonly key: SimulatedKey;
  /** The team's topics at the time of the first push. */
  readonly topics: readonly string[];
}

/** What one connection has shown so far. */
export class ConnectionAuthority {
  private readonly authority: Authority;
  private readonly environment: Environment;
  private binding: Binding | undefined;
  private token: string | undefined;
  private changedAt = 0;
  private isWedged = false;

  constructor(authority: Authority, environment: Environment) {
    this.authority = authority;
    this.environment = environment;
  }

  /** Checks the `authorization` header; undefined = the token is good. */
  authenticate(header: string | undefined): Refusal | Verified {
    if (header === undefined) return refuse('MissingProviderToken');
    if (this.isWedged) return refuse('ExpiredProviderToken');
    if (!header.startsWith('bearer ')) return refuse('InvalidProviderToken');
    const text = header.slice('bearer '.length);
    const verified = this.authority.verify(text);
    if (verified === undefined) return refuse('InvalidProviderToken');
    return this.ageOf(verified.token) ?? this.changeTo(text) ?? this.bind(verified) ?? verified;
  }

  /** Whether this key may push to this topic. */
  authorize({ key }: Verified, topic: string): Refusal | undefined {
    if (!this.binding!.topics.includes(topic)) return refuse('TopicDisallowed');
    const covered = key.topics === undefined || key.topics.includes(topic);
    return covered ? undefined : refuse('InvalidProviderToken');
  }

  private ageOf(token: ParsedToken): Refusal | undefined {
    const age = seconds(this.authority.clock) - token.issuedAt;
    if (age < -MAX_AGE_SECONDS) return refuse('InvalidProviderToken');
    if (age <= MAX_AGE_SECONDS) return undefined;
    this.isWedged = this.authority.rules.wedgeOnExpiredToken;
    return refuse('ExpiredProviderToken');
  }

  private changeTo(text: string): Refusal | undefined {
    if (text === this.token) return undefined;
    const now = this.authority.clock.monotonic();
    if (this.token !== undefined && now - this.changedAt < MIN_CHANGE_MS) {
      return refuse('TooManyProviderTokenUpdates');
    }
    this.token = text;
    this.changedAt = now;
    return undefined;
  }

  private bind({ team, key }: Verified): Refusal | undefined {
    if (key.environments?.includes(this.environment) === false) return refuse('BadEnvironmentKeyIdInToken');
    this.binding ??= { team, key, topics: [...team.topics] };
    const first = this.binding;
    if (team !== first.team) return refuse('InvalidProviderToken');
    if (key === first.key || (key.topics === undefined && first.key.topics === undefined)) return undefined;
    const related = key.relatedKeyId === first.key.keyId || first.key.relatedKeyId === key.keyId;
    return related && key.topics !== undefined ? undefined : refuse('UnrelatedKeyIdInToken');
  }
}
