/** What Slurm's own options and ways to start a step mean for one in an image. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, rmdirSync } from 'node:fs';

import type { TomlTable } from 'smol-toml';
import { slurm } from '../cluster/slurm-release.js';
import { account } from '../cluster/users.js';
import { debianImage } from '../support/debian-image.js';
import { distrolessImage } from '../support/distroless-image.js';
import { batch } from './batch.js';
import { clusterSuite, inNewDirectory, suiteLayout, user } from './cluster-suite.js';
import { Home } from './home.js';
import { refusal } from './sentences.js';

let home: Home;

const inImage = 'grep -h ^ID= /etc/os-release';
const times = (count: number): string => 'ID=busybox\n'.repeat(count);

// Slurm starts the parts of a heterogeneous job only in its backfill cycle.
const soon = { SchedulerParameters: 'batch_sched_delay=0,sched_interval=1,bf_interval=1' };

clusterSuite('steps as Slurm starts them', { slurmConf: soon }, (site) => {
  const output = (command: string): Promise<string> => site().output(`${inNewDirectory} && ${command}`);

  it('each task of an array', async () => {
    const script = `--wrap='srun sh -c "echo \\$SLURM_ARRAY_TASK_ID; ${inImage}"'`;
    const printed = await output(
      `${batch(`--image=$IMAGE --array=1-3 --output=out-%a ${script}`)} && cat out-1 out-2 out-3`,
    );
    assert.equal(printed, '1\nID=busybox\n2\nID=busybox\n3\nID=busybox\n');
  });

  it('a heterogeneous job with one image: all its components', async () => {
    const script = `#!/bin/bash
#SBATCH --ntasks=1 --image=${site().image}
#SBATCH hetjob
#SBATCH --ntasks=1 --image=${site().image}
srun --het-group=0,1 sh -c 'echo $SLURM_PROCID; ${inImage}'
srun --het-group=1 ${inImage}
`;
    const printed = await output(`${batch('--output=out', script)} && cat out`);
    assert.deepEqual(printed.trim().split('\n').sort(), ['0', '1', ...times(3).trim().split('\n')]);
  });

  it('a heterogeneous step with one image: all its components', async () => {
    assert.equal(await output(`srun --image=$IMAGE ${inImage} : --image=$IMAGE ${inImage}`), times(2));
  });

  it('--export=NONE and a list, from sbatch and srun', async () => {
    const echo = `sh -c 'echo $WANTED$OTHER; ${inImage}'`;
    assert.equal(
      await output(`WANTED=yes OTHER=no srun --export=WANTED --image=$IMAGE ${echo}`),
      'yes\nID=busybox\n',
    );
    assert.equal(
      await output(`WANTED=yes srun --export=NONE --image=$IMAGE /bin/sh -c 'echo $WANTED; /bin/${inImage}'`),
      '\nID=busybox\n',
    );
    const script = `#!/bin/bash\nsrun --export=ALL ${echo}\n`;
    const printed = await output(
      `export WANTED=yes OTHER=no; ${batch('--export=WANTED --image=$IMAGE --output=out', script)} && cat out`,
    );
    assert.equal(printed, 'yes\nID=busybox\n');
  });

  it('--overlap, beside a step on the host', async () => {
    const steps = `srun -n1 sleep 2 & sleep 0.5; srun --overlap -n1 --image=$IMAGE ${inImage}; wait`;
    assert.equal(await output(`salloc -n1 bash -c "${steps}"`), times(1));
  });

  it('--multi-prog: each program is one of the image', async () => {
    const printed = await output(
      `printf '0 busybox echo zero %%t\\n1-2 /bin/busybox cat /etc/os-release\\n' >programs &&
       srun --ntasks=3 --label --image=$IMAGE --multi-prog programs | sort`,
    );
    assert.match(printed, /^0: zero 0$/m);
    assert.equal(printed.match(/^[12]: ID=busybox$/gm)?.length, 2, printed);
  });

  it('--multi-prog without one of the programs: only that rank fails', async () => {
    const { code, stderr } = await site().run(
      `${inNewDirectory} && printf '0 no-such-program\\n1 true\\n' >programs &&
       srun --ntasks=2 --image=$IMAGE --multi-prog programs`,
    );
    assert.equal(code, 2);
    assert.match(stderr, /no-such-program.*No such file/);
  });

  it('--pty: a shell on a terminal, which hears of Ctrl-C', async () => {
    const typed = 'tty\nsleep 60\n\u0003stty size\n' + `${inImage}\nexit 7\n`;
    const { code, stdout } = await site().run(
      `{ sleep 2; ${[...typed.split('\n')].map((line) => `printf '%s\\r' '${line}'; sleep 0.3`).join(';')}; } |
       script --quiet --return --command "srun --pty --image=$IMAGE sh" /dev/null`,
    );
    assert.match(stdout, /\/dev\/pts\/\d+/);
    assert.match(stdout, /^ID=busybox\r?$/m);
    assert.equal(code, 7, stdout);
  });

  it('--chdir, to a directory of the host that the container shows', async () => {
    assert.match(await output('mkdir d && srun --chdir=$PWD/d --image=$IMAGE pwd'), /\/d\n$/);
  });

  it('--input, and --output with a file for each rank', async () => {
    const printed = await output(
      `echo text >in; srun --ntasks=2 --nodes=1 --input=in --output=out-%t --image=$IMAGE sh -c 'cat; echo $SLURM_PROCID';
       cat out-0 out-1`,
    );
    assert.equal(printed, 'text\n0\ntext\n1\n');
  });

  it('--bcast: the program comes to the nodes and runs in the image', async () => {
    const printed = await output(
      `cp /bin/busybox grep && srun --nodes=2 --bcast=/tmp/grep --image=$IMAGE ./grep -h ^ID= /etc/os-release; srun --nodes=2 rm -f /tmp/grep`,
    );
    assert.equal(printed, times(2));
  });

  it('--bcast to a directory, in which Slurm names the program', async () => {
    const printed = await output(
      `printf '#!/bin/sh\\n${inImage}\\n' >script && chmod +x script && srun --bcast=/tmp/ --image=$IMAGE ./script; srun sh -c 'rm -f /tmp/slurm_bcast_*'`,
    );
    assert.equal(printed, times(1));
  });

  it('files and images that sbcast brought', async () => {
    const script = `#!/bin/bash
#SBATCH --nodes=2 --output=out
mkdir -p root/bin root/etc && cp /bin/busybox root/bin/cat && echo of the node >root/etc/motd
tar --create --directory=root . >root.tar && sbcast root.tar /tmp/sbcast-root.tar && rm root.tar
echo of the job >file && sbcast file /tmp/sbcast-file && rm file
srun --label --ntasks-per-node=1 --image=/tmp/sbcast-root.tar /bin/cat /etc/motd /tmp/sbcast-file
srun --ntasks-per-node=1 rm /tmp/sbcast-root.tar /tmp/sbcast-file
`;
    assert.equal(
      await output(`${batch('', script)}; sort out`),
      '0: of the job\n0: of the node\n1: of the job\n1: of the node\n',
    );
  });

  it('a step that is suspended and resumed', async () => {
    const printed = await output(
      `srun --job-name=stopped --image=$IMAGE sh -c 'sleep 1; ${inImage}' & pid=$!; sleep 0.7
       scancel --signal=STOP --name=stopped; sleep 1; scancel --signal=CONT --name=stopped; wait $pid`,
    );
    assert.equal(printed, times(1));
  });
});

const bundleConfig = { ociVersion: '1.0.2', process: { args: [], cwd: '/' }, root: { path: 'rootfs' } };

clusterSuite(
  '--container beside --image',
  {
    // Called when the users are there.
    slurmFiles: () => ({
      'oci.conf': `RunTimeRun="touch ${account(user).home}/bundle/ran"
RunTimeQuery="true"
RunTimeKill="true"
RunTimeDelete="true"
`,
    }),
  },
  (site) => {
    before(() => {
      home = new Home(user);
      home.write('bundle/config.json', bundleConfig);
      home.write('bundle/rootfs/file', '');
    });
    after(() => {
      home.clear();
    });
    const bundle = (): string => `${home.directory}/bundle`;
    const refused = (command: string): Promise<string> =>
      site()
        .run(`${command} touch ${bundle()}/ran; code=$?; ls ${bundle()}/ran 2>/dev/null; exit $code`)
        .then((result) =>
          refusal(result, `both an --image and a --container (or SLURM_CONTAINER), ${bundle()};`),
        );

    it('is refused by the step, and neither runs', async () => {
      await refused(`srun --image=$IMAGE --container=${bundle()}`);
    });

    it('where the variable asks for it as well', async () => {
      await refused(`SLURM_CONTAINER=${bundle()} srun --image=$IMAGE`);
    });

    it('and without an image Slurm does what it was told', async () => {
      await site().run(`srun --container=${bundle()} true`);
      assert.ok(existsSync(`${bundle()}/ran`));
    });
  },
);

/** Says where it runs, and changes the environment of the rank. */
const taskProlog = `#!/bin/sh
. /etc/os-release
echo "print prolog in $ID"
echo "export FROM_PROLOG=$ID"
echo "export FROM_IMAGE=no"
echo "unset UNWANTED"
`;

const whereProlog = slurm.entersAtExec ? 'debian' : 'busybox';

clusterSuite(
  'TaskProlog and TaskEpilog',
  async () => {
    home = new Home(user);
    return {
      slurmConf: {
        TaskProlog: home.write('task/prolog', taskProlog, 0o755),
        TaskEpilog: home.write(
          'task/epilog',
          `#!/bin/sh\n. /etc/os-release\necho "epilog in $ID" >>${home.directory}/task/out\n`,
          0o755,
        ),
      },
    };
  },
  (site) => {
    after(() => {
      home.clear();
    });

    it('run once for each rank, the epilog on the host', async () => {
      const printed = await site().output(
        `>task/out; UNWANTED=1 srun --ntasks=2 --image=$IMAGE sh -c 'echo $FROM_PROLOG $UNWANTED; ${inImage}'; cat task/out; rm task/out`,
      );
      assert.deepEqual(
        printed.trim().split('\n').sort(),
        [`prolog in ${whereProlog}`, whereProlog, 'ID=busybox', 'epilog in debian']
          .flatMap((line) => [line, line])
          .sort(),
      );
    });

    it('the variables of the image win over those of TaskProlog where ranks enter after it', async () => {
      const printed = await site().output(`srun --image=$IMAGE sh -c 'echo $FROM_IMAGE'; rm task/out`);
      assert.equal(printed.split('\n').at(-2), slurm.entersAtExec ? 'yes' : 'no');
    });

    it('work for an image without a shell where ranks enter after TaskProlog, and are a reason to fail elsewhere', async () => {
      const image = await site().push(await distrolessImage());
      const { code, stdout, stderr } = await site().run(
        `srun --image=${image} /busybox env; code=$?; cat task/out; rm task/out; exit $code`,
      );
      if (slurm.entersAtExec) {
        assert.equal(code, 0, stderr);
        assert.match(stdout, /^FROM_PROLOG=debian$/m);
      } else {
        assert.notEqual(code, 0);
        assert.match(stderr, /TaskProlog failed/);
      }
    });

    it('a rank whose container --task-prolog ended does not run on the host', async () => {
      home.write(
        'task/own',
        '#!/bin/sh\n[ -e /etc/debian_version ] && pkill -KILL stowage-hold\nexit 0\n',
        0o755,
      );
      const { code, stdout, stderr } = await site().run(
        `srun --task-prolog=$PWD/task/own --image=$IMAGE ${inImage}; code=$?; rm task/out; exit $code`,
      );
      if (slurm.entersAtExec) {
        assert.equal(stdout, 'prolog in debian\n');
        assert.notEqual(code, 0);
        assert.match(stderr, /stowage: n[12]: the process that keeps the container was killed/);
      } else {
        assert.equal(stdout, 'prolog in busybox\nID=busybox\n', stderr);
      }
    });

    it('run once for a rank whose container is saved', async () => {
      const printed = await site().output(
        `srun --ntasks=1 --image=$IMAGE --image-save=x.sqsh sh -c 'echo $FROM_PROLOG; exit 3'; echo $?;
         cat task/out; rm x.sqsh task/out`,
      );
      assert.equal(printed, `prolog in ${whereProlog}\n${whereProlog}\n3\nepilog in debian\n`);
    });

    it('--task-prolog that fails ends a rank whose container is saved', async () => {
      home.write('task/own', '#!/bin/sh\nexit 5\n', 0o755);
      const { stdout, stderr } = await site().run(
        `srun --ntasks=1 --task-prolog=$PWD/task/own --image=$IMAGE --image-save=x.sqsh echo ran; echo $?; rm -f x.sqsh task/out`,
      );
      assert.equal(stdout, `prolog in ${whereProlog}\n5\n`, stderr);
      assert.match(stderr, /--task-prolog failed status=/);
    });

    it('--task-prolog of the user runs after it', async () => {
      home.write('task/own', taskProlog.replace('print prolog', 'print own prolog'), 0o755);
      const printed = await site().output(
        'srun --task-prolog=$PWD/task/own --image=$IMAGE true; rm -f task/out',
      );
      assert.equal(printed, `prolog in ${whereProlog}\nown prolog in ${whereProlog}\n`);
    });
  },
);

clusterSuite('an image with one static program and nothing else', {}, (site) => {
  let image: string;
  before(async () => {
    image = await site().push(await distrolessImage());
  });

  it('runs, with the kernel, the accounts and the directories of the host around it', async () => {
    const printed = await site().output(
      `srun --image=${image} /busybox sh -c 'id -un; pwd; ls -d /proc/self /dev/null /sys/class'`,
    );
    assert.equal(printed, `${user}\n${account(user).home}\n/dev/null\n/proc/self\n/sys/class\n`);
  });

  it('says which program is not there', async () => {
    const { code, stderr } = await site().run(`srun --image=${image} sh`);
    assert.equal(code, 2);
    assert.match(stderr, /sh.*No such file/);
  });
});

clusterSuite(
  'job_container/tmpfs',
  {
    nodes: 1,
    // Slurm binds the namespace of the job below that of slurmd, which Linux forbids where the former has the lower number
    // (mnt_ns_loop() in fs/namespace.c). Linux 6.18 gives each processor a range of numbers of its own, and a node of this
    // cluster, unlike a machine, has one of them rather than the very first.
    oneProcessor: true,
    slurmConf: { JobContainerType: 'job_container/tmpfs', PrologFlags: 'contain' },
    slurmFiles: ({ node }) => ({ 'job_container.conf': `AutoBasePath=true\nBasePath=${node}/job-tmp\n` }),
  },
  (site) => {
    it("gives a step in an image the job's own /tmp", async () => {
      const steps = `srun sh -c 'echo of the job >/tmp/private'; srun --image=$IMAGE cat /tmp/private`;
      const { stdout, stderr } = await site().run(`salloc bash -c "${steps}"`);
      assert.equal(stdout, 'of the job\n', stderr);
      assert.equal(await site().output('srun ls /tmp'), '');
    });
  },
);

const libraries = '/usr/lib/x86_64-linux-gnu';

/** What docs/slurm.md tells sites to show, with the paths of the test cluster. */
const clients = (): TomlTable[] => {
  const { data, plugstackConf, prefix, slurmConf } = suiteLayout();
  const programs = ['/usr/bin/srun', `${libraries}/slurm-wlm`, `${libraries}/libmunge.so.2`, prefix];
  const shown = [...programs, slurmConf, plugstackConf].map((source) => ({ source, read_only: true }));
  return [...shown, { source: `${data}/munge` }];
};

clusterSuite(
  'srun in a container',
  () => Promise.resolve({ stowageToml: { mounts: clients() } }),
  (site) => {
    let debian: string;
    before(async function () {
      this.timeout(900_000);
      debian = await site().push(await debianImage());
    });

    it('starts steps in the image of the job, in another, and on both nodes', async () => {
      const outer = `#!/bin/bash
#SBATCH --nodes=2 --image=${debian} --output=out --error=err
srun --nodes=1 --ntasks=1 sh -c '
  srun --overlap --ntasks=2 --ntasks-per-node=1 sh -c "cat /etc/debian_version | cut -c1-2"
  srun --overlap --ntasks=1 --nodes=1 --image=$IMAGE ${inImage}
'
`;
      const printed = await site().output(`${inNewDirectory} && ${batch('', outer)}; cat out`);
      assert.equal(printed, '13\n13\nID=busybox\n');
    });
  },
);

/** Directories that Slurm makes for its nodes and leaves behind. */
const controlGroups = (): string =>
  execFileSync('find', ['/sys/fs/cgroup', '-depth', '-type', 'd', '-path', '*/slurm_n1*'], {
    encoding: 'utf8',
  });

clusterSuite(
  'proctrack/cgroup and task/cgroup',
  {
    nodes: 1,
    slurmConf: {
      ProctrackType: 'proctrack/cgroup',
      TaskPlugin: 'task/cgroup,task/affinity',
      SelectTypeParameters: 'CR_Core_Memory',
    },
    slurmFiles: () => ({
      'cgroup.conf': 'CgroupPlugin=cgroup/v1\nConstrainCores=yes\nConstrainRAMSpace=yes\n',
    }),
  },
  (site) => {
    before(function () {
      if (!existsSync('/sys/fs/cgroup/freezer')) this.skip();
    });
    after(() => {
      for (const directory of controlGroups().split('\n').filter(Boolean)) rmdirSync(directory);
    });

    it('a step in an image is in the control groups of the step, as one on the host is', async () => {
      const groups = `sh -c 'cat /proc/self/cgroup'`;
      const anyJob = (text: string): string => text.replaceAll(/job_\d+/g, 'job');
      const inside = await site().output(`srun --image=$IMAGE ${groups}`);
      assert.match(inside, /\/slurm_n1\/uid_\d+\/job_\d+\/step_0/);
      assert.equal(anyJob(inside), anyJob(await site().output(`srun ${groups}`)));
    });

    it('its processor is the one of the rank', async () => {
      const cpus = `grep Cpus_allowed_list /proc/self/status`;
      const bind = '--ntasks=2 --cpu-bind=map_cpu:0,1';
      assert.equal(
        await site().output(`srun ${bind} --image=$IMAGE ${cpus} | sort`),
        await site().output(`srun ${bind} ${cpus} | sort`),
      );
    });

    it('what it leaves running ends with the step', async () => {
      await site().output(`srun --image=$IMAGE sh -c 'sleep 1000 & echo started'`);
    });

    it('more memory than --mem ends it', async () => {
      const { code, stderr } = await site().run(
        'srun --mem=64M --image=$IMAGE dd if=/dev/zero of=/dev/null bs=512M count=1',
      );
      assert.notEqual(code, 0);
      assert.match(stderr, /oom|out of memory|memory|Killed/i);
    });
  },
);
