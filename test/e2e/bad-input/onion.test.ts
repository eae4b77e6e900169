/** The listener for a Tor daemon: strangers there spoil it for strangers there, and for nobody else. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { encodeBatch } from '../../../shared/relay/batch.js';
import { PATHS } from '../../../shared/relay/constants.js';
import { RelayClient } from '../../support/relay-client.js';
import { type RelayParty, type RelayWorld, startRelayWorld } from '../../support/relay-party.js';
import { eventually } from '../../support/world/eventually.js';

const FAILURES = 5;
const CONNECTIONS = 8;

describe('a gateway with an .onion address', () => {
  let world: RelayWorld;
  let established: RelayParty;

  before(async () => {
    world = await startRelayWorld(1, {
      onion_listen: '127.0.0.1:0',
      limits: { failures_per_address: FAILURES, onion_connections: CONNECTIONS },
    });
    established = await world.party();
    await established.prove(world.apps[0]!);
  });
  after(() => world.close());

  /** Comes through Tor; a new identity unless given. */
  function visitor(identity?: RelayClient['identity']): RelayClient {
    const { certificate, gateway } = world.test;
    const port = () => gateway.onionPort!;
    const { crypto, clock } = world;
    return new RelayClient({ crypto, clock, port, certificate, fingerprint: gateway.fingerprint }, identity);
  }

  const ask = async (client: RelayClient): Promise<number> =>
    (await client.post(PATHS.push, encodeBatch([]))).status;

  test('failed checks stop strangers there; not those with a proven device, nor the other listener', async () => {
    const hostile = visitor();
    const known = visitor(established.client.identity);
    assert.deepEqual([await ask(hostile), await ask(known)], [200, 200]);
    const body = encodeBatch([]);
    const answers: number[] = [];
    for (let n = 0; n < 2 * FAILURES; n++) {
      const headers = { ...hostile.sign(PATHS.push, body), signature: `relay=:${'A'.repeat(86)}==:` };
      answers.push((await hostile.send('POST', PATHS.push, headers, body)).status);
    }
    assert.deepEqual([answers[0], answers.at(-1)], [401, 429]);
    const another = visitor();
    assert.equal(await ask(another), 429);
    another.close();
    assert.equal(await ask(known), 200);
    const elsewhere = await world.party();
    assert.equal(await ask(elsewhere.client), 200);
    hostile.close();
    known.close();
  });

  test('its connections are limited apart', async () => {
    world.clock.leap(60_000);
    const { onionPort } = world.test.gateway;
    const open = new Set<Socket>();
    for (let n = 0; n < 2 * CONNECTIONS; n++) {
      const socket = connect(onionPort!, '127.0.0.1');
      open.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => open.delete(socket));
    }
    const refused = () => world.metric('connections_refused_total');
    await eventually('those above the limit are closed', async () => (await refused()) >= CONNECTIONS);
    const elsewhere = await world.party();
    assert.equal(await ask(elsewhere.client), 200);
    for (const socket of open) socket.destroy();
  });
});
