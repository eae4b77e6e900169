import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostPort } from '../../../../shared/encoding/host-port.js';

test('host and port as URIs have them', () => {
  assert.equal(hostPort('example.org', 443), 'example.org:443');
  assert.equal(hostPort('example.org', 443, 443), 'example.org');
  assert.equal(hostPort('example.org', 2197, 443), 'example.org:2197');
  assert.equal(hostPort('::1', 443, 443), '[::1]');
  assert.equal(hostPort('::1', 8443, 443), '[::1]:8443');
});
