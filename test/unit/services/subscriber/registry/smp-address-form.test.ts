import assert from 'node:assert/strict';
import { test } from 'node:test';
import { smpAddressForm } from '../../../../../services/subscriber/registry/smp-address-form.js';
import { parseQueue } from '../../../../../shared/smp/address.js';

const FINGERPRINT = 'LcJUMfVhwD8yxjAiSaDzzGF3-kLG4Uh0Fl_ZIjrRwjI=';
const OTHER = 'MsJUMfVhwD8yxjAiSaDzzGF3-kLG4Uh0Fl_ZIjrRwjI=';
const encode = (text: string) => smpAddressForm.encode(parseQueue(text));
const server = (text: string) => smpAddressForm.serverOf(parseQueue(text));

test('hosts, port text, fingerprint and id name a queue, as in the look-up key of SNEW', () => {
  const queue = `smp://${FINGERPRINT}@a.example,b.onion:5223/AAAA`;
  assert.deepEqual(encode(queue), encode(queue));
  for (const other of [
    `smp://${FINGERPRINT}@a.example,b.onion/AAAA`,
    `smp://${FINGERPRINT}@a.example:5223/AAAA`,
    `smp://${OTHER}@a.example,b.onion:5223/AAAA`,
    `smp://${FINGERPRINT}@a.example,b.onion:5223/AAAB`,
  ]) {
    assert.notDeepEqual(encode(queue), encode(other));
  }
});

test('a server is its fingerprint', () => {
  assert.equal(server(`smp://${FINGERPRINT}@a.example/AAAA`), server(`smp://${FINGERPRINT}@b.example/BBBB`));
  assert.notEqual(server(`smp://${FINGERPRINT}@a.example/AAAA`), server(`smp://${OTHER}@a.example/AAAA`));
});
