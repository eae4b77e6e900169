import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findingLines, findingOf } from '../../../../services/cli/findings.js';
import { doctorStatus, type Finding } from '../../../../shared/run/doctor.js';

const FINDINGS: readonly Finding[] = [
  { name: 'dial', state: 'ok', detail: 'connected', ms: 12.4 },
  { name: 'TLS and identity', state: 'failed', detail: 'another identity', ms: 3, fix: 'compare them' },
];

test('a line a hop in columns, and below what is not in order its fix', () => {
  assert.deepEqual(findingLines(FINDINGS), [
    'hop               state   time   detail',
    'dial              ok      12 ms  connected',
    'TLS and identity  failed  3 ms   another identity',
    '    compare them',
  ]);
});

test('the exit status says whether something failed; a warning is none', () => {
  assert.equal(doctorStatus(FINDINGS), 1);
  assert.equal(doctorStatus([FINDINGS[0]!, { ...FINDINGS[1]!, state: 'warning' }]), 0);
});

test('findings come over the control socket as they are', () => {
  for (const finding of FINDINGS) {
    assert.deepEqual(findingOf(JSON.parse(JSON.stringify(finding))), finding);
  }
});
