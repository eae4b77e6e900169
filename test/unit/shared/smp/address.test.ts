import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { utf8 } from '../../../../shared/encoding/bytes.js';
import { DecodeError, decodeAll } from '../../../../shared/encoding/reader.js';
import { Writer } from '../../../../shared/encoding/writer.js';
import {
  formatQueue,
  formatServer,
  parseQueue,
  parseServer,
  readQueue,
  readServer,
  writeQueue,
  writeServer,
} from '../../../../shared/smp/address.js';

const HASH = 'LcJUMfVhwD8yxjAiSaDzzGF3-kLG4Uh0Fl_ZIjrRwjI=';

const invalid = (run: () => unknown): void => assert.throws(run, DecodeError);

describe('server addresses (guide A.5)', () => {
  test('the example of the guide', () => {
    const address = parseServer(`smp://${HASH}@localhost:5001`);
    assert.deepEqual([address.hosts, address.port], [['localhost'], '5001']);
    const binary = writeServer(new Writer(), address).done();
    const expected = new Writer().u8(1).shortString(utf8('localhost')).shortString(utf8('5001'));
    assert.deepEqual(binary, expected.shortString(address.keyHash).done());
    assert.deepEqual(decodeAll(binary, readServer), address);
  });

  test('host order and port text come back as they were', () => {
    for (const rest of [
      'b.example,a.example',
      'a:5223',
      'abc.onion,1.2.3.4:0',
      'x.simplex.im,y2.onion:443',
    ]) {
      const text = `smp://${HASH}@${rest}`;
      assert.equal(formatServer(parseServer(text)), text);
    }
    assert.equal(parseServer(`smp://${HASH}@h`).port, '');
  });

  test('IPv6 is printed without brackets', () => {
    assert.deepEqual(parseServer(`smp://${HASH}@[::1]:5223`), {
      ...parseServer(`smp://${HASH}@::1`),
      port: '5223',
    });
    assert.deepEqual(parseServer(`smp://${HASH}@[fe80::1]`).hosts, ['fe80::1']);
  });

  test('a fingerprint may come without padding', () => {
    assert.deepEqual(parseServer(`smp://${HASH.slice(0, -1)}@h`), parseServer(`smp://${HASH}@h`));
  });

  for (const [what, text] of Object.entries({
    'a password': `smp://${HASH}:secret@h`,
    'another scheme': `xftp://${HASH}@h`,
    'the scheme of the other protocol': `ntf://${HASH}@h`,
    'no host': `smp://${HASH}@`,
    'an empty host in the list': `smp://${HASH}@a,,b`,
    'a short fingerprint': 'smp://LcJU@h',
    'a port that is no number': `smp://${HASH}@h:x`,
    'an empty port behind a colon': `smp://${HASH}@h:`,
    'a port on a host in the middle': `smp://${HASH}@a:1,b`,
    'an address out of range': `smp://${HASH}@1.2.3.256`,
    'half an address': `smp://${HASH}@1.2.3`,
    'an onion name with capitals': `smp://${HASH}@ABC.onion`,
    'a space in a host': `smp://${HASH}@a b`,
  })) {
    test(`refuses ${what}`, () => invalid(() => parseServer(text)));
  }

  test('NTF servers have their own scheme', () => {
    assert.equal(formatServer(parseServer(`ntf://${HASH}@h`, 'ntf'), 'ntf'), `ntf://${HASH}@h`);
  });

  test('binary forms are held to the same rules', () => {
    const keyHash = parseServer(`smp://${HASH}@h`).keyHash;
    const write = (hosts: string[], port: string, hash = keyHash) => {
      const w = new Writer().u8(hosts.length);
      for (const host of hosts) w.shortString(utf8(host));
      return w.shortString(utf8(port)).shortString(hash).done();
    };
    assert.deepEqual(decodeAll(write(['h'], ''), readServer), { hosts: ['h'], port: '', keyHash });
    invalid(() => decodeAll(write([], ''), readServer));
    invalid(() => decodeAll(write(['a b'], ''), readServer));
    invalid(() => decodeAll(write(['h'], 'x'), readServer));
    invalid(() => decodeAll(write(['h'], '', keyHash.subarray(1)), readServer));
  });
});

describe('notifier queues', () => {
  const text = `smp://${HASH}@a.example,b.onion:5223/${'A'.repeat(32)}`;

  test('text and binary form', () => {
    const queue = parseQueue(text);
    assert.deepEqual(queue.notifierId, new Uint8Array(24));
    assert.equal(formatQueue(queue), text);
    assert.deepEqual(decodeAll(writeQueue(new Writer(), queue).done(), readQueue), queue);
  });

  test('refuses a queue without id or with something that is none', () => {
    for (const bad of [
      `smp://${HASH}@h`,
      `smp://${HASH}@h/`,
      `smp://${HASH}@h/a*`,
      `smp://${HASH}@h/AAAA/AAAA`,
      '',
    ]) {
      invalid(() => parseQueue(bad));
    }
  });
});
