// npm run cluster: builds what `up` needs, then hands over to test/cluster/main.ts.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const main = new URL('../../build/js/test/cluster/main.js', import.meta.url);
let status = 0;
if (process.argv[2] === 'up' || !existsSync(main)) {
  ({ status } = spawnSync(process.execPath, ['test/support/setup.mjs'], { stdio: 'inherit' }));
}
if (status === 0) await import(main);
else process.exitCode = 1;
