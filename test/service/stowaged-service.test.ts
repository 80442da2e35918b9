/** The shipped units under a real systemd. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';

import { FaultRegistry } from '../support/fault-registry.js';
import { BootedSystemd, shipped } from './booted-systemd.js';
import { eventually } from './eventually.js';

const unit = 'stowaged.service';
const caller = 65432;
const program = '/opt/stowage/bin/stowaged';

describe('stowaged.service', function () {
  this.timeout(120_000);

  let systemd: BootedSystemd;
  let registry: FaultRegistry;
  let configuration: string;

  before(async () => {
    registry = await FaultRegistry.start();
    configuration = `[metrics]\nlisten = "/run/stowaged/metrics.sock"\n[registries."${registry.host}"]\nhttp = true\n`;
    systemd = await BootedSystemd.boot({
      passwd: `root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\ncaller:x:${caller}:${caller}::/:/bin/sh\n`,
      group: `root:x:0:\nnogroup:x:65534:\ncaller:x:${caller}:\n`,
      hosts: '127.0.0.1 localhost\n',
      'machine-id': '0123456789abcdef0123456789abcdef\n',
      'os-release': 'ID=test\n',
      'systemd/system/stowaged.service': shipped(unit)
        .replace('/usr/bin/stowaged', program)
        // Pings every second instead of every half minute.
        .replace('WatchdogSec=60s', 'WatchdogSec=2s'),
      'systemd/system/run-stowage-trees.mount': shipped('run-stowage-trees.mount'),
      'systemd/system/stowaged-user.service': shipped('stowaged-user.service').replace(
        '/usr/bin/stowaged',
        program,
      ),
      'sysusers.d/stowaged.conf': shipped('stowaged.sysusers.conf'),
      'stowage/stowage.toml': configuration,
      'stowage/single-user.toml': 'mode = "single-user"\n',
    });
    const { code } = await systemd.run(['systemctl', 'start', unit]);
    if (code !== 0) assert.fail(await systemd.must(['journalctl', '--no-pager', '--lines=40']));
  });

  after(async () => {
    await (systemd as BootedSystemd | undefined)?.end();
    await (registry as FaultRegistry | undefined)?.stop();
  });

  const mainPid = async (): Promise<string> => {
    const pid = await systemd.show(unit, 'MainPID');
    // To kill(1) that is whoever calls it.
    assert.notEqual(pid, '0', 'stowaged runs');
    return pid;
  };
  const lines = async (): Promise<Record<string, unknown>[]> => {
    const text = await systemd.must(['journalctl', '--no-pager', '--output=json', '--unit', unit]);
    return text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, string>)
      .filter(({ MESSAGE }) => MESSAGE?.startsWith('{'))
      .map(({ MESSAGE = '', PRIORITY }) => ({ ...(JSON.parse(MESSAGE) as object), priority: PRIORITY }));
  };
  const logged = (event: string): Promise<Record<string, unknown>> =>
    eventually(
      async () => (await lines()).find((line) => line['event'] === event),
      () => `"${event}" in the journal`,
    );
  /** Puts a configuration in place and reloads. */
  const reload = async (text: string): Promise<void> => {
    await systemd.must(['sh', '-c', 'printf %s "$1" >/etc/stowage/stowage.toml', 'sh', text]);
    await systemd.must(['systemctl', 'reload', unit]);
  };
  /** Waits until another process serves, after the one with `pid` failed. */
  const restarted = async (pid: string): Promise<void> => {
    await eventually(
      async () => {
        const now = await systemd.show(unit, 'MainPID');
        const isOther = now !== pid && now !== '0';
        return (isOther && (await systemd.show(unit, 'ActiveState')) === 'active') || undefined;
      },
      () => `a successor of process ${pid}`,
    );
  };

  it('is active once the socket answers, and says so', async () => {
    assert.equal(await systemd.show(unit, 'ActiveState'), 'active');
    assert.equal(await systemd.show(unit, 'StatusText'), 'Serving');
    await systemd.must(['test', '-S', '/run/stowaged/api.sock']);
    assert.equal((await logged('started'))['priority'], '6');
  });

  it('tells systemd again and again that it answers', async () => {
    const lastPing = (): Promise<string> => systemd.show(unit, 'WatchdogTimestampMonotonic');
    const first = await lastPing();
    await eventually(
      async () => (await lastPing()) !== first || undefined,
      () => 'a ping',
    );
  });

  it('brings the mount of the trees, with its limits', async () => {
    const mount = await systemd.must(['grep', ' /run/stowage/trees ', '/proc/mounts']);
    assert.match(mount, /^tmpfs .*nosuid,nodev.*,nr_inodes=\S+,.*mode=711/);
  });

  it('serves an ordinary user', async () => {
    registry.addImage('team/app', '1', { layers: [Buffer.from('a layer')] });
    const answer = await systemd.run(prepare(registry.host), caller);
    assert.match(answer.stdout, /^sha256:[0-9a-f]{64}\n$/);
    const line = await logged('prepared');
    assert.equal(line['uid'], caller);
    assert.equal(line['priority'], '6');
  });

  it('takes little memory', async () => {
    const text = await systemd.must(['grep', 'VmRSS', `/proc/${await mainPid()}/status`]);
    const [, kib] = /VmRSS:\s+(\d+) kB/.exec(text) ?? [];
    assert.ok(Number(kib) > 10_000 && Number(kib) * 1024 < 80e6, text);
  });

  it('shows metrics', async () => {
    const text = await systemd.must(
      ['curl', '-s', '--unix-socket', '/run/stowaged/metrics.sock', 'http://x/metrics'],
      caller,
    );
    assert.match(text, /^stowage_requests_total\{code="ok"\} [1-9]/m);
    assert.match(text, /^stowage_trees_bytes 0$/m);
    assert.match(text, /^process_resident_memory_bytes \d+$/m);
  });

  it('runs without privilege, and sees neither others nor what is not its own', async () => {
    const pid = await mainPid();
    const status = await systemd.must(['cat', `/proc/${pid}/status`]);
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
      assert.match(status, new RegExp(`^${set}:\\s+0+$`, 'm'));
    assert.match(status, /^NoNewPrivs:\s+1$/m);
    assert.match(status, /^Seccomp:\s+2$/m);
    assert.match(status, /^Groups:\s*(\d+)?\s*$/m);
    // What it could do, asked in its own view of the file system by its own user.
    const own = [
      'nsenter',
      '--target',
      pid,
      '--mount',
      '--',
      'setpriv',
      '--reuid=stowage',
      '--regid=stowage',
      '--clear-groups',
    ];
    const mounts = await systemd.must([...own, 'cat', '/proc/self/mountinfo']);
    const optionsOf = (place: string): string =>
      mounts
        .split('\n')
        .map((line) => line.split(' '))
        .filter((fields) => fields[4] === place)
        .at(-1)?.[5] ?? '';
    for (const place of ['/', '/usr', '/home', '/root']) assert.match(optionsOf(place), /^ro\b/, place);
    for (const place of ['/run/stowaged', '/var/lib/stowage']) assert.match(optionsOf(place), /^rw\b/, place);
    assert.match(mounts, / \/proc .*hidepid=invisible/);
    assert.equal(await limitOf(pid, 'Max core file size'), '0');
  });

  it('takes a right configuration over, and keeps the old one when it is wrong', async () => {
    const pid = await mainPid();
    await reload(`mod = "service"\n${configuration}`);
    const refused = await logged('not reloaded');
    assert.match(String(refused['message']), /unknown key "mod"; did you mean "mode"\?/);
    assert.equal(refused['priority'], '3');
    await eventually(
      async () => (await systemd.show(unit, 'StatusText')).includes('"mod"') || undefined,
      () => 'the status to name the fault',
    );
    assert.match((await systemd.run(prepare(registry.host), caller)).stdout, /^sha256:/);

    await reload(
      configuration.replace('/run/stowaged/metrics.sock', '127.0.0.1:1') + '[budget]\nmax_bytes = 1\n',
    );
    await logged('reloaded');
    assert.equal((await logged('needs a restart'))['key'], 'metrics.listen');
    assert.match((await systemd.run(prepare(registry.host), caller)).stdout, /allows 1 unpacked/);
    await reload(configuration);
    assert.equal(await mainPid(), pid, 'a reload is no restart');
    assert.equal(await systemd.show(unit, 'NRestarts'), '0');
  });

  it('is restarted when it is killed', async () => {
    const pid = await mainPid();
    await systemd.must(['kill', '-KILL', pid]);
    await restarted(pid);
    assert.match((await systemd.run(prepare(registry.host), caller)).stdout, /^sha256:/);
  });

  it('is restarted when it hangs', async () => {
    const pid = await mainPid();
    await systemd.must(['kill', '-STOP', pid]);
    await restarted(pid);
    assert.match((await systemd.run(prepare(registry.host), caller)).stdout, /^sha256:/);
  });

  it('stops cleanly', async () => {
    await systemd.must(['systemctl', 'stop', unit]);
    assert.equal(await systemd.show(unit, 'Result'), 'success');
    assert.notEqual((await systemd.run(['test', '-e', '/run/stowaged'])).code, 0);
  });

  it('serves one user without a unit, and ends after a defect', async () => {
    const places = ['XDG_RUNTIME_DIR=/tmp/run', 'XDG_DATA_HOME=/tmp/data'];
    const defect = 'data:text/javascript,setTimeout(() => void Promise.reject(new Error("a defect")), 2000)';
    const daemon = '/opt/stowage/lib/stowage/build/js/wrapper/stowaged.js';
    const config = ['--config', '/etc/stowage/single-user.toml'];
    const { code, stderr } = await systemd.run(
      ['env', ...places, process.execPath, '--import', defect, daemon, ...config],
      caller,
    );
    assert.equal(code, 1);
    const [started, end] = stderr.trim().split('\n');
    assert.match(
      started ?? '',
      /"started".*"socket":"\/tmp\/run\/stowaged\/api\.sock","store":"\/tmp\/data\/stowage"/,
    );
    assert.match(
      end ?? '',
      /"level":"error","event":"defect","origin":"unhandledRejection","detail":"Error: a defect/,
    );
  });

  it('is exposed no more than 1.5 by the measure of systemd-analyze', () => {
    const argv = ['security', '--offline=yes', '--no-pager', '--threshold=15', `slurm-conf-examples/${unit}`];
    const said = execFileSync('systemd-analyze', argv, { encoding: 'utf8' });
    const [, exposure] = /Overall exposure level for stowaged\.service: ([\d.]+)/.exec(said) ?? [];
    assert.ok(Number(exposure) <= 1.5, said);
  });

  it('has units in which systemd finds no fault', async () => {
    const files = [unit, 'run-stowage-trees.mount', 'stowaged-user.service'].map(
      (name) => `/etc/systemd/system/${name}`,
    );
    const { code, stdout, stderr } = await systemd.run(['systemd-analyze', 'verify', ...files]);
    assert.equal(stdout + stderr, '');
    assert.equal(code, 0);
  });

  const prepare = (host: string): string[] => [
    process.execPath,
    '/repository/build/js/test/service/prepare-inside.js',
    '/run/stowaged/api.sock',
    `${host}/team/app:1`,
  ];
  const limitOf = async (pid: string, name: string): Promise<string> => {
    const line = await systemd.must(['grep', name, `/proc/${pid}/limits`]);
    return line.slice(name.length).trim().split(/\s+/)[0] ?? '';
  };
});
