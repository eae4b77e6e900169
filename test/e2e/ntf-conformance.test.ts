/**
 * The recorded exchanges with a real ntf-server as a script: the same requests, with ids, codes and signatures of
 * this session, must get the same replies. What differs on purpose is in test/vectors/README.md.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import type { Crypto } from '../../shared/crypto/crypto.js';
import { loadCrypto } from '../../shared/crypto/load.js';
import { fromHex, latin1, sameBytes } from '../../shared/encoding/bytes.js';
import { type AuthAlgorithm, decodePrivateKey, type Key, ofAlgorithm } from '../../shared/encoding/keys.js';
import { decodeCommand, encodeCommand } from '../../shared/ntf/commands.js';
import { ntfSession } from '../../shared/ntf/handshake.js';
import { decodeResponse } from '../../shared/ntf/responses.js';
import { VirtualClock } from '../../shared/run/clock.js';
import { decodeBlock, decodeTransmission } from '../../shared/smp/transmission.js';
import { type NtfTestClient, replyText } from '../support/ntf-client.js';
import { RECORDED, type RecordedTransmission, recorded } from '../support/ntf-recorded.js';
import { startTestNtfServerOn, type TestNtfServer } from '../support/ntf-server.js';
import { vector } from '../support/paths.js';
import { type SmpRegistry, smpRegistry } from '../support/smp-registry.js';

interface ScriptStep {
  readonly about: string;
  readonly request: RecordedTransmission;
  readonly isAuthorized: boolean;
  readonly reply: Uint8Array;
}

interface Script {
  readonly name: string;
  readonly version: number;
  readonly key: Key<AuthAlgorithm>;
  readonly steps: readonly ScriptStep[];
}

type Registry = SmpRegistry;

function registryOf(crypto: Crypto): Registry {
  const ignore = (): void => {};
  const { registry, source } = smpRegistry(crypto, new VirtualClock());
  registry.connect(source, { signal: ignore, maybeMissed: ignore, dropQueue: ignore, forget: ignore });
  return registry;
}

/** Runs a script; ids that the server gave out in the recording are replaced by those it gives out now. */
class Player {
  private readonly ids: { recorded: Uint8Array; now: Uint8Array }[] = [];
  private readonly server: TestNtfServer<Registry>;
  private readonly client: NtfTestClient;
  private readonly key: Key<AuthAlgorithm>;

  constructor(server: TestNtfServer<Registry>, client: NtfTestClient, key: Key<AuthAlgorithm>) {
    this.server = server;
    this.client = client;
    this.key = key;
  }

  async play(step: ScriptStep): Promise<void> {
    const { corrId, entityId } = step.request;
    const context = {
      corrId,
      entityId: this.current(entityId),
      ...(step.isAuthorized && { key: this.keyOf(step) }),
    };
    const reply = await this.client.send(this.command(step), context);
    const expected = decodeResponse(step.reply);
    assert.equal(settled(replyText(reply.response)), settled(replyText(expected)), step.about);
    assert.deepEqual(new Uint8Array(reply.corrId), corrId, step.about);
    assert.deepEqual(new Uint8Array(reply.entityId), this.current(entityId), step.about);
    if (expected.word === 'IDTKN' && reply.response.word === 'IDTKN') {
      this.learn(expected.tokenId, reply.response.tokenId, step.about);
      this.learn(expected.dhKey, reply.response.dhKey, step.about);
    }
    if (expected.word === 'IDSUB' && reply.response.word === 'IDSUB') {
      this.learn(expected.subscriptionId, reply.response.subscriptionId, step.about);
      // As if the messaging server had answered the NSUB.
      const { ref } = this.server.registry.subscriptionById(reply.response.subscriptionId)!;
      this.server.registry.status(ref, { kind: 'active' });
    }
  }

  /** What the recording repeats must be repeated here too. */
  private learn(recordedId: Uint8Array, now: Uint8Array, about: string): void {
    const known = this.ids.find((pair) => sameBytes(pair.recorded, recordedId));
    if (known) assert.deepEqual(now, known.now, about);
    else this.ids.push({ recorded: recordedId, now: now.slice() });
  }

  private current(id: Uint8Array): Uint8Array {
    return this.ids.find((pair) => sameBytes(pair.recorded, id))?.now ?? id;
  }

  private keyOf(step: ScriptStep): Key<AuthAlgorithm> {
    return step.about.includes('another key') ? { algorithm: 'ed25519', raw: randomBytes(32) } : this.key;
  }

  private command({ about, request }: ScriptStep): Uint8Array {
    const word = latin1(request.command.subarray(0, 5));
    if (word === 'TVFY ' && !about.includes('wrong')) {
      const device = this.server.registry.deviceById(this.current(request.entityId))!;
      return encodeCommand({ word: 'TVFY', code: this.server.wake.codes.get(device.slot)! });
    }
    const snew = word === 'SNEW ' ? decodeCommand(request.command) : undefined;
    if (snew?.word !== 'SNEW') return request.command;
    return encodeCommand({ ...snew, tokenId: this.current(snew.tokenId) });
  }
}

/** Whether a push has been accepted by the time of the next command is a matter of time, there and here. */
const settled = (text: string): string => text.replace('TKN CONFIRMED', 'TKN REGISTERED');

const authKey = (key: Key): Key<AuthAlgorithm> => ofAlgorithm(key, 'ed25519', 'ed448', 'x25519');

function scriptOf(name: (typeof RECORDED)[number]): Script {
  const file = recorded(name);
  const steps = file.steps.map(({ about, request, response }) => {
    const isAuthorized = request.transmission[0] !== 0;
    return { about, request, isAuthorized, reply: response.command };
  });
  return { name, version: file.version, key: authKey(file.authKey), steps };
}

interface MoreFile {
  readonly ntf: Readonly<
    Record<string, { sessionId: string; tokenKey: string; log: { dir: string; content: string }[] }>
  >;
}

/** The second recording: contents of blocks, in turns. */
function moreScript(name: string, version: number): Script {
  const { sessionId, tokenKey, log } = vector<MoreFile>('more/smp-ntf-recorded').ntf[name]!;
  const params = ntfSession(version, fromHex(sessionId)!);
  const steps = log.flatMap(({ dir, content }, i): ScriptStep[] => {
    if (dir !== 'client') return [];
    const [request] = decodeBlock(params, fromHex(content)!);
    const [reply] = decodeBlock(params, fromHex(log[i + 1]!.content)!);
    const about = `${name}, ${latin1(request!.command.subarray(0, 4))}`;
    return [{ about, request: request!, isAuthorized: request!.auth.length > 0, reply: reply!.command }];
  });
  return { name: `more/${name}`, version, key: authKey(decodePrivateKey(fromHex(tokenKey)!)), steps };
}

describe('conformance with the recorded ntf-server', () => {
  let server: TestNtfServer<Registry>;
  before(async () => {
    server = await startTestNtfServerOn(registryOf(await loadCrypto()), { algorithm: 'ed448' });
  });
  after(() => server.listener.close());

  const scripts = [...RECORDED.map(scriptOf), moreScript('v3', 3), moreScript('v1 (no ALPN)', 1)];
  for (const { name, version, key, steps } of scripts) {
    it(`answers ${name} as it does`, async () => {
      const client = await server.connect(version === 1 ? { alpn: [] } : { version });
      assert.deepEqual(client.offered, version === 1 ? { min: 1, max: 1 } : { min: 1, max: 3 });
      const player = new Player(server, client, key);
      for (const step of steps) await player.play(step);
      client.close();
      assert.ok(steps.length > 8);
    });
  }

  it('reads the recorded blocks themselves', () => {
    for (const name of RECORDED) {
      const file = recorded(name);
      const params = ntfSession(file.version, file.sessionId);
      file.steps.forEach(({ request }, i) => {
        const t = decodeTransmission(params, request.transmission);
        assert.deepEqual(t.command, request.command, `${name} ${i}`);
      });
    }
  });
});
