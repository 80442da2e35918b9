import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';

import { account } from '../cluster/users.js';
import { batch } from './batch.js';
import { clusterSuite, inNewDirectory, user } from './cluster-suite.js';

const imageName = /Stowage test image/;

clusterSuite('a step in an image', {}, (site) => {
  it('srun --image runs the program in the image', async () => {
    assert.match(await site().output('srun --image=$IMAGE cat /etc/os-release'), imageName);
  });

  it('srun without --image runs on the host', async () => {
    assert.equal(await site().output('srun cat /etc/os-release'), readFileSync('/etc/os-release', 'utf8'));
  });

  it('#SBATCH --image holds for each srun of the script, and the script itself runs on the host', async () => {
    const script = `#!/bin/bash\n#SBATCH --image=${site().image}\ngrep -h NAME= /etc/os-release | head -n1\nsrun cat /etc/os-release\nsrun cat /etc/os-release\n`;
    const printed = await site().output(`${inNewDirectory} && ${batch('--output=out', script)} && cat out`);
    assert.equal(printed.match(/Stowage test image/g)?.length, 2, printed);
    assert.match(printed.split('\n')[0] ?? '', /Debian/);
  });

  it('salloc --image holds for each srun of the allocation', async () => {
    assert.match(await site().output('salloc --image=$IMAGE srun cat /etc/os-release'), imageName);
  });

  it('sbatch --image overrides the image that the script names', async () => {
    const script = '#!/bin/bash\n#SBATCH --image=nowhere.invalid/none:1\nsrun cat /etc/os-release\n';
    const printed = await site().output(
      `${inNewDirectory} && ${batch('--image=$IMAGE --output=out', script)} && cat out`,
    );
    assert.match(printed, imageName);
  });

  it('srun --image overrides the image of the job', async () => {
    const printed = await site().output(
      'salloc --image=nowhere.invalid/none:1 srun --image=$IMAGE cat /etc/os-release',
    );
    assert.match(printed, imageName);
  });

  it('two steps of one job at once share the tree and not what they write', async () => {
    const step = (name: string) =>
      `srun --exact -n1 --image=$IMAGE sh -c 'echo ${name} >/etc/motd; sleep 1; cat /etc/motd'`;
    const printed = await site().output(`salloc -n2 -N1 bash -c "${step('one')} & ${step('two')} & wait"`);
    assert.deepEqual(printed.trim().split('\n').sort(), ['one', 'two']);
  });

  it('32 ranks on a node share one user and one mount namespace', async () => {
    const printed = await site().output(
      "srun -N1 -n32 --image=$IMAGE sh -c 'echo $(readlink /proc/self/ns/user) $(readlink /proc/self/ns/mnt)'",
    );
    const namespaces = printed.trim().split('\n');
    assert.equal(namespaces.length, 32);
    assert.equal(new Set(namespaces).size, 1, printed);
    const { stdout } = await site().run('srun readlink /proc/self/ns/user');
    assert(!namespaces[0]?.startsWith(stdout.trim()), 'the namespace is not the host one');
  });

  it('ranks on two nodes each find the image', async () => {
    const printed = await site().output(
      "srun -N2 -n4 --ntasks-per-node=2 --image=$IMAGE sh -c 'echo $SLURMD_NODENAME; cat /etc/os-release'",
    );
    assert.equal(printed.match(/Stowage test image/g)?.length, 4, printed);
    assert.deepEqual([printed.match(/^n1$/gm)?.length, printed.match(/^n2$/gm)?.length], [2, 2], printed);
  });

  it('heterogeneous steps with two images are refused before anything runs', async () => {
    const { code, stdout, stderr } = await site().run(
      'srun --image=$IMAGE hostname : --image=other:1 hostname',
    );
    assert.notEqual(code, 0);
    assert.equal(stdout, '');
    assert.match(stderr, /parts of a heterogeneous job share one image.*--image differs/);
  });
});

clusterSuite('what a rank sees', {}, (site) => {
  const inside = (command: string): Promise<string> =>
    site().output(`srun -n1 --image=$IMAGE sh -c '${command}'`);

  it('is the user, with the same uid and gid, outside and inside', async () => {
    const { uid, gid } = account(user);
    assert.equal(await inside('id -u; id -g; id -un'), `${uid}\n${gid}\n${user}\n`);
  });

  it('finds the user in /etc/passwd, and the users of the image', async () => {
    const passwd = await inside('cat /etc/passwd');
    assert.match(
      passwd,
      new RegExp(`^${user}:x:${account(user).uid}:${account(user).gid}:.*:${account(user).home}:`),
    );
    assert.match(passwd, /^root:x:0:0/m);
  });

  it('can write anywhere in the image, and finds nothing of it in the next step', async () => {
    const first = await inside(
      'cat /etc/motd; echo changed >/etc/motd; mkdir /new; rm /bin/vi; cat /etc/motd',
    );
    assert.equal(first, 'from the upper layer\nchanged\n');
    assert.equal(
      await inside('cat /etc/motd; ls -d /new 2>/dev/null; ls /bin/vi'),
      'from the upper layer\n/bin/vi\n',
    );
  });

  it('sees whiteouts applied', async () => {
    assert.equal(await inside('ls /etc/withdrawn 2>/dev/null; echo end'), 'end\n');
  });

  it('is in the directory the job was submitted from, and can write there', async () => {
    const { stdout } = await site().run(
      'dir=$(mktemp -d ~/stowage-XXXX); cd $dir; srun --image=$IMAGE sh -c "pwd; echo \\$PWD; echo text >file"; echo $dir; cat file; rm -r $dir',
    );
    const [pwd, variable, dir, text] = stdout.trim().split('\n');
    assert.deepEqual([pwd, variable, text], [dir, dir, 'text']);
  });

  it('is in the working directory of the image where the submitting one is the host system’s', async () => {
    const { stdout, stderr } = await site().run('cd /usr/lib && srun --image=$IMAGE pwd');
    assert.equal(stdout, '/var/lib\n');
    assert.match(
      stderr,
      /stowage: n[12]: .*busybox:latest: \/usr\/lib of the host is not shown in the image; ranks start in the image's \/var\/lib, and what they write there is gone when the step ends\n/,
    );
  });

  it('hears nothing of Stowage where all is as usual', async () => {
    assert.equal((await site().run('srun --image=$IMAGE true')).stderr, '');
  });

  it('has the home directory', async () => {
    assert.equal(await inside('cd && pwd'), `${account(user).home}\n`);
  });

  it('has the variables of the image, those of the job, and a PATH of the image', async () => {
    const printed = await site().output('MINE=1 srun --image=$IMAGE env');
    assert.match(printed, /^FROM_IMAGE=yes$/m);
    assert.match(printed, /^MINE=1$/m);
    assert.match(printed, /^PATH=\/bin$/m);
    assert.match(printed, /^STOWAGE_IMAGE_DIGEST=sha256:[0-9a-f]{64}$/m);
  });

  it('runs the program that the PATH of the image finds, which the host need not have', async () => {
    assert.match(await site().output('srun --image=$IMAGE busybox'), /BusyBox/);
  });

  it('does not get the library paths of the host', async () => {
    assert.doesNotMatch(
      await site().output('LD_LIBRARY_PATH=/opt/lib srun --image=$IMAGE env'),
      /LD_LIBRARY_PATH/,
    );
  });

  it('has the devices, kernel, /sys, /tmp and name resolution of the host', async () => {
    assert.equal(await inside('uname -r'), await site().output('uname -r'));
    assert.equal(
      await inside('test -c /dev/null && test -d /dev/shm && test -d /sys/class && echo yes'),
      'yes\n',
    );
    assert.equal(
      await site().output('srun -w n2 --image=$IMAGE cat /etc/hosts'),
      await site().output('srun -w n2 cat /etc/hosts'),
    );
    assert.equal(
      await site().output('srun -w n2 --image=$IMAGE stat -c %d:%i /tmp'),
      await site().output('srun -w n2 stat -c %d:%i /tmp'),
    );
  });

  it('sees nothing else of the host', async () => {
    const mounts = await inside('cat /proc/self/mountinfo');
    const root = mounts.split('\n').find((line) => line.split(' ')[4] === '/');
    assert.match(root ?? '', / - overlay /);
    assert.equal(await inside('ls -d /var/spool /boot /usr/share 2>/dev/null; echo end'), 'end\n');
  });

  it('has no new privileges and no capability', async () => {
    const status = await inside('cat /proc/self/status');
    assert.match(status, /^NoNewPrivs:\s1$/m);
    assert.match(status, /^CapEff:\s0{16}$/m);
  });

  it('inherits no descriptor of Stowage', async () => {
    assert.equal(await inside('ls /proc/$$/fd; true'), '0\n1\n2\n');
  });

  it('has no child it did not start', async () => {
    assert.equal(await inside('read -r pids </proc/$$/task/$$/children; echo "[$pids]"'), '[]\n');
  });

  it('passes exit codes on', async () => {
    assert.equal((await site().run('srun --image=$IMAGE sh -c "exit 42"')).code, 42);
  });

  it('passes signals on', async () => {
    const { code } = await site().run("srun --image=$IMAGE sh -c 'kill -TERM $$'");
    assert.equal(code, 128 + 15);
    const trapped = await site().run(
      'srun --image=$IMAGE sh -c \'trap "echo got; exit 7" USR1; while :; do sleep 0.1; done\' & pid=$!; sleep 1.5; scancel --signal=USR1 --user=$USER; wait $pid',
    );
    assert.equal(trapped.stdout, 'got\n');
    assert.equal(trapped.code, 7);
  });

  it('reads standard input', async () => {
    assert.equal(await site().output('echo text | srun --image=$IMAGE cat'), 'text\n');
  });

  it('says what Slurm says when the program is not in the image', async () => {
    const { code, stderr } = await site().run('srun --image=$IMAGE no-such-program');
    assert.equal(code, 2);
    assert.match(stderr, /no-such-program.*No such file/);
  });

  it('is not root although the tests are', () => {
    assert.notEqual(account(user).uid, userInfo().uid);
  });
});
