import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { buildTargets, fuzz, targets } from '../support/fuzzing.js';
import { isRoot } from './sandbox.js';

const seconds = 10;

describe('stowage-unpack: fuzz targets', function () {
  this.timeout(300_000);
  before(buildTargets);

  for (const target of targets) {
    it(`${target} finds nothing in its corpus and in ${seconds} seconds more`, async () => {
      const { status, output, findings } = await fuzz(target, { seconds });
      assert.equal(status, 0, `${findings.join('\n')}\n${output.slice(-4000)}`);
      const runs = Number(/^Done (\d+) runs/m.exec(output)?.[1]);
      assert.ok(runs > readdirSync(`wrapper/unpack/fuzz/corpus/${target}`).length, output.slice(-4000));
    });

    it(`${target} does nothing as root`, function () {
      if (!isRoot) this.skip();
      const { status, stderr } = spawnSync(`build/fuzz/${target}`, ['-runs=0'], { encoding: 'utf8' });
      assert.deepEqual([status, stderr.split('\n').length], [2, 2], stderr);
      assert.match(stderr, /as root/);
    });
  }
});
