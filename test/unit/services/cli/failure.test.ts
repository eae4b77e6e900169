import assert from 'node:assert/strict';
import { after, before, describe, mock, test } from 'node:test';
import { reportFailure } from '../../../../services/cli/failure.js';
import { HandOverError } from '../../../../shared/run/hand-over-error.js';

/** What the system's own errors become: the file or the port, and what to do. */
describe('a failure of the system', () => {
  const lines: string[] = [];
  before(() => {
    mock.method(process.stderr, 'write', (line: string) => lines.push(line) > 0);
  });
  after(() => {
    mock.restoreAll();
    process.exitCode = 0;
  });
  const said = (fields: object): string => {
    reportFailure(Object.assign(new Error('raw'), fields));
    return lines.at(-1)!;
  };

  test('names the file where it is one', () => {
    assert.equal(
      said({ code: 'EACCES', path: '/var/lib/x', syscall: 'mkdir' }),
      'porchlight: /var/lib/x: not permitted; run this as the user that owns it\n',
    );
  });

  test('names the port where it is one', () => {
    assert.equal(
      said({ code: 'EACCES', port: 81, syscall: 'listen' }),
      'porchlight: not permitted; ports below 1024 need a privilege (port 81)\n',
    );
    assert.match(said({ code: 'EADDRINUSE', port: 443 }), /in use by another process \(port 443\)/);
  });

  test('says why a subscriber was not taken over, and that it serves on', () => {
    reportFailure(new HandOverError('key'));
    assert.equal(process.exitCode, 3);
    assert.match(
      lines.at(-1)!,
      /cannot take over: it has another identity key; the subscriber that runs serves on/,
    );
    reportFailure(new HandOverError('nobody listens there'));
    assert.match(lines.at(-1)!, /cannot take over: nobody listens there;/);
  });

  test('shows the rest as it is', () => {
    assert.match(said({ code: 'EOTHER', path: '/x' }), /^porchlight: Error: raw\n/);
  });
});
