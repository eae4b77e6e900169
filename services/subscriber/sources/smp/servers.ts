/**
 * Messaging servers and the spellings under which clients know them. One server here is one connection. A spelling
 * joins a server only with the same fingerprint and port and at least one host that has already authenticated as
 * that fingerprint: else a hostile address could park a real server's queues on a dead host (design §3).
 */
import { latin1, toHex, utf8 } from '../../../../shared/encoding/bytes.js';
import { Writer } from '../../../../shared/encoding/writer.js';
import type { ServerAddress } from '../../../../shared/smp/address.js';
import { SMP_DEFAULT_PORT } from '../../../../shared/smp/constants.js';
import type { ServerState, SpellingState } from './source-state.js';

/** The unit of isolation of everybody who shares connections. */
export const SHARED = -1;

/** One server, as far as its address goes, for one unit of isolation. */
export interface Server {
  readonly number: number;
  /** Only queues of the same unit share its connection. */
  readonly unit: number;
  /** Connections with other names must not share a way through the proxy. */
  readonly circuit: string | undefined;
  readonly keyHash: Uint8Array;
  readonly port: number;
  /** Hosts of the spelling that came first; only these are dialled. */
  readonly hosts: readonly string[];
  /** Hosts that have authenticated as `keyHash`: dialled before the others. */
  readonly proven: Set<string>;
  /** How many spellings lead here. */
  spellings: number;
  /** Until then (monotonic) sessions are ordinary ones: it does not want our service certificate. */
  ordinaryUntilMs: number;
}

interface Spelling {
  readonly number: number;
  readonly text: string;
  readonly address: ServerAddress;
  readonly server: Server;
  /** How many queues use it. */
  uses: number;
}

/** At most 65,536 each: their numbers have 16 bits in the rows of queues. */
export interface ServerLimits {
  readonly servers: number;
  readonly spellings: number;
}

export const MAX_NUMBERS = 0x10000;

/** Whether a host can be reached through Tor only: names have no case, and may end in the root's dot. */
export const isOnion = (host: string): boolean => /\.onion\.?$/i.test(host);

/** The port to dial ('' = 5223), undefined where the text is no port. */
export function portOf(address: ServerAddress): number | undefined {
  if (address.port === '') return SMP_DEFAULT_PORT;
  const port = /^\d{1,5}$/.test(address.port) ? Number(address.port) : 0;
  return port > 0 && port < 65_536 ? port : undefined;
}

export class ServerTable {
  private readonly limits: ServerLimits;
  private readonly circuit: () => string | undefined;
  private readonly servers = new Numbered<Server>();
  private readonly spellings = new Numbered<Spelling>();
  private readonly byText = new Map<string, Spelling>();
  private readonly byIdentity = new Map<string, Set<Server>>();

  /** @param circuit makes the names of servers' ways through a proxy */
  constructor(limits: ServerLimits, circuit: () => string | undefined = () => undefined) {
    if (Math.max(limits.servers, limits.spellings) > MAX_NUMBERS) throw new RangeError('too many servers');
    this.limits = limits;
    this.circuit = circuit;
  }

  get size(): number {
    return this.servers.size;
  }

  /** The servers that `address` leads to now: one for each unit that knows it. */
  *find(address: ServerAddress): Iterable<Server> {
    for (const server of this.alike(address)) {
      if (this.byText.get(spell(address, server.unit))?.server === server || joins(address, server))
        yield server;
    }
  }

  /** One more queue under this spelling; undefined when there is no room for a new spelling or server. */
  use(
    address: ServerAddress,
    port: number,
    unit: number = SHARED,
  ): { server: Server; spelling: number } | undefined {
    const text = spell(address, unit);
    let spelling = this.byText.get(text);
    if (!spelling) {
      if (this.spellings.size >= this.limits.spellings) return undefined;
      const server = this.joinable(address, unit) ?? this.create(address, port, unit);
      if (!server) return undefined;
      server.spellings++;
      spelling = this.spellings.add((number) => ({
        number,
        text,
        address: copied(address),
        server,
        uses: 0,
      }));
      this.byText.set(text, spelling);
    }
    spelling.uses++;
    return { server: spelling.server, spelling: spelling.number };
  }

  /** The servers that spellings lead to. Arrays are views. */
  *states(): Iterable<Omit<ServerState, 'associations'>> {
    for (const server of this.servers.all()) {
      const { number, unit, port, keyHash, hosts, proven, ordinaryUntilMs, spellings } = server;
      if (spellings > 0) yield { number, unit, port, keyHash, hosts, proven: [...proven], ordinaryUntilMs };
    }
  }

  *spellingStates(): Iterable<SpellingState> {
    for (const { number, server, address } of this.spellings.all())
      yield { number, server: server.number, address };
  }

  /** A predecessor's server; undefined when there is no room. */
  restore({ keyHash, hosts, port, unit, proven, ordinaryUntilMs }: ServerState): Server | undefined {
    const server = this.create({ hosts, port: '', keyHash }, port, unit);
    for (const host of proven) server?.proven.add(host);
    if (server) server.ordinaryUntilMs = ordinaryUntilMs;
    return server;
  }

  /** A spelling that led to this server, used by no queue yet; its number, or undefined when there is no room. */
  restoreSpelling(server: Server, address: ServerAddress): number | undefined {
    const text = spell(address, server.unit);
    if (this.spellings.size >= this.limits.spellings || this.byText.has(text)) return undefined;
    server.spellings++;
    const spelling = this.spellings.add((number) => {
      return { number, text, address: copied(address), server, uses: 0 };
    });
    this.byText.set(text, spelling);
    return spelling.number;
  }

  /** Forgets a restored spelling that no queue came to use. */
  releaseUnused(number: number): void {
    const spelling = this.spellings.get(number)!;
    if (spelling.uses > 0) return;
    spelling.uses++;
    this.release(number);
    if (spelling.server.spellings === 0) this.remove(spelling.server);
  }

  /** One more queue under a spelling that is known by its number. */
  reuse(spelling: number): Server {
    const known = this.spellings.get(spelling)!;
    known.uses++;
    return known.server;
  }

  /** One queue fewer under this spelling. The server stays until `remove`. */
  release(number: number): void {
    const spelling = this.spellings.get(number)!;
    if (--spelling.uses > 0) return;
    spelling.server.spellings--;
    this.byText.delete(spelling.text);
    this.spellings.delete(number);
  }

  at(number: number): Server {
    return this.servers.get(number)!;
  }

  serverOf(spelling: number): Server {
    return this.spellings.get(spelling)!.server;
  }

  /** The address exactly as a client spelt it. */
  address(spelling: number): ServerAddress {
    return this.spellings.get(spelling)!.address;
  }

  /** Forgets a server that no spelling leads to. */
  remove(server: Server): void {
    this.servers.delete(server.number);
    const key = identity(server.keyHash, server.port);
    const same = this.byIdentity.get(key);
    same?.delete(server);
    if (same?.size === 0) this.byIdentity.delete(key);
  }

  private joinable(address: ServerAddress, unit: number): Server | undefined {
    for (const server of this.alike(address))
      if (server.unit === unit && joins(address, server)) return server;
    return undefined;
  }

  /** Servers with this fingerprint and port. */
  private alike(address: ServerAddress): Iterable<Server> {
    const port = portOf(address);
    return (port !== undefined && this.byIdentity.get(identity(address.keyHash, port))) || [];
  }

  private create(address: ServerAddress, port: number, unit: number): Server | undefined {
    if (this.servers.size >= this.limits.servers) return undefined;
    const { hosts, keyHash } = copied(address);
    const server = this.servers.add((number) => ({
      number,
      unit,
      circuit: this.circuit(),
      keyHash,
      port,
      hosts,
      proven: new Set<string>(),
      spellings: 0,
      ordinaryUntilMs: 0,
    }));
    const key = identity(keyHash, port);
    this.byIdentity.set(key, (this.byIdentity.get(key) ?? new Set()).add(server));
    return server;
  }
}

/** Whether one of the hosts has authenticated as the server that the address names. */
const joins = ({ hosts }: ServerAddress, server: Server): boolean =>
  hosts.some((host) => server.proven.has(host));

/** Hosts, port and fingerprint verbatim: two spellings are the same only if all of it is, in the same unit. */
function spell({ hosts, port, keyHash }: ServerAddress, unit: number): string {
  const text = new Writer().u32(unit >>> 0);
  for (const part of [...hosts, port]) text.large(utf8(part));
  return latin1(text.bytes(keyHash).view());
}

const identity = (keyHash: Uint8Array, port: number): string => `${toHex(keyHash)}:${port}`;

/** Addresses are views into a client's block. */
const copied = ({ hosts, port, keyHash }: ServerAddress): ServerAddress => ({
  hosts: [...hosts],
  port,
  keyHash: keyHash.slice(),
});

/** Things under small numbers that are given out again. */
class Numbered<T> {
  private readonly things: (T | undefined)[] = [];
  private readonly free: number[] = [];

  get size(): number {
    return this.things.length - this.free.length;
  }

  *all(): Iterable<T> {
    for (const thing of this.things) if (thing !== undefined) yield thing;
  }

  get(number: number): T | undefined {
    return this.things[number];
  }

  add(make: (number: number) => T): T {
    const number = this.free.pop() ?? this.things.length;
    const thing = make(number);
    this.things[number] = thing;
    return thing;
  }

  delete(number: number): void {
    this.things[number] = undefined;
    this.free.push(number);
  }
}
