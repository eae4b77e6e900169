import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROBLEM_CODES, PROBLEMS, parseProblem, problemBody } from '../../../../shared/relay/problem.js';

/** relay.md §6. */
const CONTRACT: Record<string, readonly string[]> = {
  400: ['bad-request'],
  401: ['bad-signature', 'clock'],
  403: ['not-listed'],
  409: ['replay'],
  413: ['too-large'],
  415: ['version'],
  422: ['unknown-sealing-key', 'bad-sealed-token', 'bad-capability', 'bad-code'],
  429: ['rate'],
  503: ['unavailable'],
};

test('codes and statuses are those of the contract', () => {
  for (const [status, codes] of Object.entries(CONTRACT)) {
    const ours = PROBLEM_CODES.filter((code) => PROBLEMS[code].status === Number(status));
    assert.deepEqual(ours, codes);
  }
  assert.equal(PROBLEM_CODES.length, Object.values(CONTRACT).flat().length);
});

test('a body is read back', () => {
  for (const code of PROBLEM_CODES) assert.equal(parseProblem(problemBody(code)), code);
});

test('anything else is no problem of ours', () => {
  for (const text of ['', 'null', '[]', '{}', '{"code":5}', '{"code":"toString"}', '{"code":"gone"}']) {
    assert.equal(parseProblem(text), undefined);
  }
});
