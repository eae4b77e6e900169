import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { portOf, ServerTable } from '../../../../../../services/subscriber/sources/smp/servers.js';
import type { ServerAddress } from '../../../../../../shared/smp/address.js';

const LIMITS = { servers: 10, spellings: 20 };

const address = (hosts: string[], port = '', hash = 1): ServerAddress => ({
  hosts,
  port,
  keyHash: new Uint8Array(32).fill(hash),
});

const found = (table: ServerTable, a: ServerAddress) => [...table.find(a)][0];
const use = (table: ServerTable, a: ServerAddress) => table.use(a, portOf(a)!)!;

describe('servers and their spellings', () => {
  test('an empty port means 5223; anything that is no port is none', () => {
    assert.equal(portOf(address(['a'])), 5223);
    assert.equal(portOf(address(['a'], '5001')), 5001);
    for (const port of ['0', '65536', '-1', '1e3', ' 1', '1.', '123456']) {
      assert.equal(portOf(address(['a'], port)), undefined, port);
    }
  });

  test('the same spelling is the same server, and comes back verbatim', () => {
    const table = new ServerTable(LIMITS);
    const first = use(table, address(['a', 'b']));
    const again = use(table, address(['a', 'b']));
    assert.deepEqual(again, first);
    assert.deepEqual(table.address(first.spelling), address(['a', 'b']));
    assert.equal(table.size, 1);
  });

  test('another spelling joins only a host that has authenticated', () => {
    const table = new ServerTable(LIMITS);
    const first = use(table, address(['a', 'dead']));
    assert.equal(found(table, address(['a'])), undefined);
    first.server.proven.add('a');
    assert.equal(found(table, address(['dead'])), undefined);
    const joined = use(table, address(['a', 'elsewhere'], '5223'));
    assert.equal(joined.server, first.server);
    assert.notEqual(joined.spelling, first.spelling);
    assert.equal(table.address(joined.spelling).port, '5223', 'kept verbatim');
    assert.deepEqual(joined.server.hosts, ['a', 'dead'], 'hosts of a later spelling are not dialled');
    assert.equal(first.server.spellings, 2);
  });

  test('another fingerprint or port never joins', () => {
    const table = new ServerTable(LIMITS);
    const first = use(table, address(['a']));
    first.server.proven.add('a');
    assert.notEqual(use(table, address(['a'], '', 2)).server, first.server);
    assert.notEqual(use(table, address(['a'], '443')).server, first.server);
  });

  test('spellings that look alike are not confused', () => {
    const table = new ServerTable(LIMITS);
    const one = use(table, address(['a', 'b'], '1'));
    const two = use(table, address(['ab'], '1'));
    const three = use(table, address(['a'], '1'));
    assert.equal(new Set([one.spelling, two.spelling, three.spelling]).size, 3);
  });

  test('a spelling is forgotten with its last queue, a server when it is removed', () => {
    const table = new ServerTable(LIMITS);
    const { server, spelling } = use(table, address(['a']));
    use(table, address(['a']));
    table.release(spelling);
    assert.equal(found(table, address(['a'])), server);
    table.release(spelling);
    assert.equal(server.spellings, 0);
    assert.equal(found(table, address(['a'])), undefined, 'never authenticated');
    server.proven.add('a');
    assert.equal(found(table, address(['a'])), server, 'still there to be joined');
    table.remove(server);
    assert.equal(found(table, address(['a'])), undefined);
    assert.equal(table.size, 0);
    assert.equal(use(table, address(['b'])).server.number, server.number, 'numbers are given out again');
  });

  test('is bounded in servers and spellings', () => {
    const table = new ServerTable({ servers: 2, spellings: 3 });
    const { server } = use(table, address(['a']));
    server.proven.add('a');
    use(table, address(['b']));
    assert.equal(table.use(address(['c']), 5223), undefined);
    use(table, address(['a', 'x']));
    assert.equal(table.use(address(['a', 'y']), 5223), undefined);
    assert.notEqual(table.use(address(['a']), 5223), undefined, 'known spellings go on');
  });

  test('copies the address: clients hand in views of their blocks', () => {
    const table = new ServerTable(LIMITS);
    const given = address(['a']);
    const { server, spelling } = use(table, given);
    given.keyHash.fill(0);
    assert.deepEqual(table.address(spelling), address(['a']));
    assert.deepEqual(server.keyHash, new Uint8Array(32).fill(1));
  });

  test('units of isolation share nothing but the spelling’s text', () => {
    let ways = 0;
    const table = new ServerTable(LIMITS, () => String(ways++));
    const a = address(['a']);
    const [one, two] = [table.use(a, 5223, 1)!, table.use(a, 5223, 2)!];
    assert.notEqual(one.server, two.server);
    assert.notEqual(one.server.circuit, two.server.circuit);
    one.server.proven.add('a');
    assert.notEqual(table.use(address(['a', 'b']), 5223, 2)!.server, one.server);
    assert.equal(table.use(address(['a', 'b']), 5223, 1)!.server, one.server);
    assert.equal(table.use(a, 5223, 2)!.server, two.server);
    assert.deepEqual([...table.find(a)], [one.server, two.server]);
  });
});
