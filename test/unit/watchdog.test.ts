import assert from 'node:assert/strict';

import { logTo } from '../../wrapper/telemetry/log.js';
import type { ServiceManager } from '../../wrapper/service/manager.js';
import { Watchdog } from '../../wrapper/service/watchdog.js';

describe('Watchdog', () => {
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

  it('pings while the check succeeds, says when it fails, and pings again when it is over', async () => {
    let pings = 0;
    let fails = false;
    const lines: string[] = [];
    const manager = { watchdogMs: 40, keepAlive: () => pings++ } as unknown as ServiceManager;
    const check = async (): Promise<void> => {
      if (fails) throw new Error('no answer');
    };
    const watchdog = new Watchdog(
      manager,
      check,
      logTo((line) => lines.push(line)),
    );
    watchdog.start();
    while (pings < 2) await pause(5);
    fails = true;
    while (lines.length < 2) await pause(5);
    assert.match(lines.join(), /"error","event":"not answering","message":"no answer"/);
    const before = pings;
    while (lines.length < 4) await pause(5);
    assert.equal(pings, before);
    fails = false;
    while (pings === before) await pause(5);
    watchdog.stop();
    const last = pings;
    await pause(100);
    assert.equal(pings, last);
  });
});
