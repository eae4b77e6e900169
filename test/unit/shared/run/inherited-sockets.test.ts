/** Listening sockets from systemd, or from a predecessor: which descriptor is which listener. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConfigError } from '../../../../shared/run/config.js';
import { inheritedSockets, socketVariables } from '../../../../shared/run/inherited-sockets.js';

const OWN = { pid: 42, ppid: 7 };
const WANTED = ['phones', 'others', 'observe'];
const found = (env: Record<string, string>) =>
  [...inheritedSockets(WANTED, { ...env }, OWN)].map(([name, { fd }]) => [name, fd]);

describe('inherited sockets', () => {
  test('by name, in any order; without a name in the order of the configuration', () => {
    const env = { LISTEN_PID: '42', LISTEN_FDS: '2' };
    assert.deepEqual(found({ ...env, LISTEN_FDNAMES: 'observe:phones' }), [
      ['observe', 3],
      ['phones', 4],
    ]);
    assert.deepEqual(found({ ...env, LISTEN_FDNAMES: 'observe:porchlight.socket' }), [
      ['observe', 3],
      ['phones', 4],
    ]);
    assert.deepEqual(found(env), [
      ['phones', 3],
      ['others', 4],
    ]);
  });

  test('meant for another process, or none: nothing; the variables go in any case', () => {
    assert.deepEqual(found({}), []);
    const env: Record<string, string> = { LISTEN_PID: '43', LISTEN_FDS: '1', LISTEN_FDNAMES: 'phones' };
    assert.deepEqual([...inheritedSockets(WANTED, env, OWN)], []);
    assert.deepEqual(env, {});
  });

  test('from a predecessor', () => {
    const env = { ...socketVariables(['phones']) };
    const own = { pid: 42, ppid: process.pid };
    assert.deepEqual([...inheritedSockets(WANTED, env, own)], [['phones', { fd: 3, isKept: false }]]);
  });

  test('kept by whoever opened it, through any number of processes', () => {
    const first = { LISTEN_PID: '42', LISTEN_FDS: '1', LISTEN_FDNAMES: 'phones' };
    assert.deepEqual([...inheritedSockets(WANTED, first, OWN)], [['phones', { fd: 3, isKept: true }]]);
    const second = { ...socketVariables(['observe', 'phones'], new Set(['phones'])) };
    const own = { pid: 43, ppid: process.pid };
    assert.deepEqual(
      [...inheritedSockets(WANTED, second, own)],
      [
        ['observe', { fd: 3, isKept: false }],
        ['phones', { fd: 4, isKept: true }],
      ],
    );
  });

  test('too many, or no number: refused', () => {
    for (const count of ['4', '0', 'x', '1000']) {
      assert.throws(() => found({ LISTEN_PID: '42', LISTEN_FDS: count }), ConfigError);
    }
  });
});
