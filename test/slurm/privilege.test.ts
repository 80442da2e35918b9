import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

import { clusterSuite } from './cluster-suite.js';

clusterSuite('what is installed and what runs', {}, (site) => {
  const prefix = (): string => site().cluster.layout.prefix;

  it('has no file with a setuid or setgid bit', () => {
    assert.equal(execFileSync('find', [prefix(), '-perm', '/6000'], { encoding: 'utf8' }), '');
  });

  it('has no file with capabilities', () => {
    assert.equal(execFileSync('/sbin/getcap', ['-r', prefix()], { encoding: 'utf8' }), '');
  });

  it('has no file that others than root can change', () => {
    assert.equal(
      execFileSync('find', [prefix(), '!', '-type', 'l', '-perm', '/022'], { encoding: 'utf8' }),
      '',
    );
    assert.equal(execFileSync('find', [prefix(), '!', '-user', 'root'], { encoding: 'utf8' }), '');
  });

  it('links the plugin against libc alone', () => {
    const plugin = `${prefix()}/lib/slurm/spank_stowage.so`;
    const needed = execFileSync('readelf', ['--dynamic', plugin], { encoding: 'utf8' });
    assert.deepEqual(
      [...needed.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, library]) => library),
      ['libc.so.6'],
    );
  });

  it('exports nothing from the plugin but what Slurm calls', () => {
    const plugin = `${prefix()}/lib/slurm/spank_stowage.so`;
    const symbols = execFileSync('nm', ['--dynamic', '--defined-only', '--format=just-symbols', plugin], {
      encoding: 'utf8',
    });
    for (const symbol of symbols.trim().split('\n')) assert.match(symbol, /^(plugin_|spank_|slurm_spank_)/);
  });

  it('runs stowaged as a service user without any capability, unable to gain one', () => {
    for (const node of site().cluster.nodes) {
      const status = readFileSync(`/proc/${site().cluster.daemon.pid(node)}/status`, 'utf8');
      assert.match(status, /^Name:\s+(node|stowaged|MainThread)$/m);
      assert.doesNotMatch(status, /^Uid:\s+0\b/m);
      for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'])
        assert.match(status, new RegExp(`^Cap${set}:\\s0{16}$`, 'm'));
      assert.match(status, /^NoNewPrivs:\s1$/m);
    }
  });

  it('refuses to run stowaged as root', async () => {
    assert.throws(
      () =>
        execFileSync(`${prefix()}/bin/stowaged`, ['--config', site().cluster.layout.stowageToml], {
          stdio: 'pipe',
        }),
      (error: Error & { stderr?: Buffer }) => /does not run as root/.test(String(error.stderr)),
    );
  });
});
