/** What would show a service's memory is refused. What the running services do about it: test/cli/hardening. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refuseRevealingSwitches } from '../../../../shared/run/hardening.js';
import { UsageError } from '../../../../shared/run/usage-error.js';

const REVEALING = [
  '--inspect',
  '--inspect=0.0.0.0:9229',
  '--inspect-brk',
  '--inspect_brk',
  '--inspect-port=1',
  '--abort-on-uncaught-exception',
  '--abort_on_uncaught_exception',
  '--heapsnapshot-signal=SIGUSR2',
  '--heapsnapshot-near-heap-limit=3',
  '--heap-prof',
  '--heap-prof-dir=/tmp',
  '--diagnostic-dir=/tmp',
  '--report-on-fatalerror',
  '--report-on-signal',
  '--report-uncaught-exception',
];

for (const word of REVEALING) {
  test(`${word} is refused`, () => {
    const name = new RegExp(`^${word.split('=')[0]!.replaceAll('_', '-')}: shows or writes`);
    assert.throws(
      () => refuseRevealingSwitches(['--enable-source-maps', word]),
      (error) => error instanceof UsageError && name.test(error.message),
    );
  });
}

test('switches that show nothing are taken', () => {
  refuseRevealingSwitches([
    '--max-old-space-size=512',
    '--enable-source-maps',
    '--import=x',
    '-r',
    'inspect',
  ]);
});
