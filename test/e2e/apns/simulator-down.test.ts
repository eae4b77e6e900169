/** The simulator goes down whatever its connections are doing. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { startApnsSimulator } from '../../../services/simulators/apns/server.js';
import { systemClock } from '../../../shared/run/clock.js';

test('a connection that never begins its TLS handshake does not keep it up', async () => {
  const simulator = await startApnsSimulator({ clock: systemClock, teams: [], environments: { test: {} } });
  const socket = connect(simulator.ports.test!, simulator.host);
  const gone = once(socket.resume(), 'close');
  await once(socket, 'connect');
  await simulator.down();
  await gone;
  assert.ok(socket.destroyed);
  await simulator.close();
});
