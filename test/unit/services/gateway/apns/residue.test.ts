import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ApnsPush } from '../../../../../services/gateway/apns/engine.js';
import { sweptEngine } from '../../../../../services/gateway/apns/residue.js';
import { VirtualClock } from '../../../../../shared/run/clock.js';
import { FakeApns } from '../../../../support/gateway.js';

const SECOND = 1_000;
const push = { token: new Uint8Array(32), body: new Uint8Array(1) } as unknown as ApnsPush;

function swept() {
  const clock = new VirtualClock();
  let sweeps = 0;
  const sweep = async () => {
    sweeps++;
  };
  const engine = sweptEngine(new FakeApns(), clock, sweep);
  return { clock, engine, sweeps: () => sweeps };
}

describe('memory after pushes', () => {
  it('is swept when they pause, and once more', async () => {
    const { clock, engine, sweeps } = swept();
    void engine.send(push);
    await clock.advance(14 * SECOND);
    assert.equal(sweeps(), 0);
    await clock.advance(2 * SECOND);
    assert.equal(sweeps(), 1);
    await clock.advance(3_600 * SECOND);
    assert.equal(sweeps(), 2);
    void engine.send(push);
    await clock.advance(3_600 * SECOND);
    assert.equal(sweeps(), 4);
  });

  it('is left alone while they go on, and swept within a minute of the last', async () => {
    const { clock, engine, sweeps } = swept();
    for (let n = 0; n < 100; n++) {
      void engine.send(push);
      await clock.advance(10 * SECOND);
    }
    assert.equal(sweeps(), 0);
    await clock.advance(50 * SECOND);
    assert.equal(sweeps(), 2);
  });

  it('is not swept by an engine that was closed', async () => {
    const { clock, engine, sweeps } = swept();
    void engine.send(push);
    await engine.close(0);
    await clock.advance(3_600 * SECOND);
    assert.equal(sweeps(), 0);
  });
});
