/** Defaults and named environments of a user, docs/environments.md. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { batch } from './batch.js';
import { clusterSuite, inNewDirectory } from './cluster-suite.js';
import { sentencesIn } from './sentences.js';

clusterSuite('settings files', { nodes: 2 }, (site) => {
  /** A command line after which XDG_CONFIG_HOME has these files, as the shell reads them: "$IMAGE" is the image. */
  const withFiles = (files: Record<string, string>, command: string): string => {
    const write = Object.entries(files).map(
      ([name, text]) => `cat >"$dir/stowage/${name}" <<END\n${text}\nEND`,
    );
    return [
      inNewDirectory,
      'export XDG_CONFIG_HOME=$dir',
      'mkdir -p stowage/environments data && echo found >data/file',
      ...write,
      command,
    ].join('\n');
  };
  const ranks = 'srun -N2 -n4';

  it('hold for every rank of every step, and give way to the command line', async () => {
    const files = { 'config.toml': '[env]\nONE = "of the file"\nTWO = "of the file"' };
    const command = `${ranks} --image=$IMAGE --image-env=TWO=mine sh -c 'echo $ONE, $TWO'`;
    assert.equal(await site().output(withFiles(files, command)), 'of the file, mine\n'.repeat(4));
  });

  it('make an environment that goes by its name', async () => {
    const files = {
      'environments/base.toml': 'image = "$IMAGE"\n[env]\nONE = "base"\nTWO = "base"',
      'environments/x.toml': 'base = "base"\nmounts = ["../../data:/in:ro"]\nenv = { TWO = "x \\${USER}" }',
    };
    const command = `${ranks} --image=@x sh -c 'echo $ONE, $TWO, $(cat /in/file), $STOWAGE_IMAGE'`;
    assert.equal(
      await site().output(withFiles(files, command)),
      `base, x stow-a, found, ${site().image}\n`.repeat(4),
    );
  });

  it('make an environment of #SBATCH, with an image beside it', async () => {
    const files = { 'environments/x.toml': 'image = "oci:./layout"' };
    const script =
      '#!/bin/bash\n#SBATCH --image=@x\n#SBATCH --output=out\nsrun cat /etc/hostname >/dev/null && srun echo in';
    const command = [
      'skopeo --insecure-policy copy -q --src-tls-verify=false docker://$IMAGE oci:stowage/environments/layout:1',
      `printf '%s\\n' '${script}' >job && sbatch -Q -W job; cat out`,
    ].join('\n');
    assert.equal(await site().output(withFiles(files, command)), 'in\n');
  });

  it('count less than variables, #SBATCH, sbatch and srun, each of these less than the next', async () => {
    const places = ['config', 'named', 'variable', 'script', 'sbatch', 'srun'];
    /** Sets P0 to P5, but those that only places before it set; and a mount over theirs. */
    const from = (place: string): [string, string][] =>
      places.map((_, i): [string, string] => [`P${i}`, place]).slice(places.indexOf(place));
    const table = (place: string): string =>
      from(place)
        .map(([name, value]) => `${name} = "${value}"`)
        .join('\n');
    const list = (place: string): string =>
      from(place)
        .map((pair) => pair.join('='))
        .join(',');
    const mount = (place: string): string => `$dir/${place}:/at`;
    const files = {
      'config.toml': `mount = ["${mount('config')}"]\n[env]\n${table('config')}`,
      'environments/x.toml': `image = "$IMAGE"\nmounts = ["${mount('named')}"]\n[env]\n${table('named')}`,
    };
    const options = (place: string): string => `--image-env=${list(place)} --image-mount=./${place}:/at`;
    const look = 'echo $P0 $P1 $P2 $P3 $P4 $P5; ls /at; grep -c " /at " /proc/self/mountinfo';
    const script = `#!/bin/bash\n#SBATCH --image=@x --output=out ${options('script')}\nsrun ${options('srun')} sh -c '${look}'`;
    const command = [
      ...places.map((place) => `mkdir ${place} && touch ${place}/of-${place}`),
      `export STOWAGE_IMAGE_ENV=${list('variable')} STOWAGE_IMAGE_MOUNT=./variable:/at`,
      batch(options('sbatch'), script),
      'cat out',
    ].join('\n');
    assert.equal(await site().output(withFiles(files, command)), `${places.join(' ')}\nof-srun\n6\n`);
  });

  it('let the example with an environment and mounts of its own run', async () => {
    const example = readFileSync('slurm-conf-examples/sbatch-environment.sh', 'utf8').trimEnd();
    const files = { 'environments/python.toml': 'image = "$IMAGE"' };
    const command = `mkdir input; echo found >input/file; ${batch('', example)}; cat environment-*.out results/*`;
    assert.equal(await site().output(withFiles(files, command)), '6 /fast/file\n'.repeat(2));
  });

  const wrong: [string, Record<string, string>, string, RegExp][] = [
    ['a wrong key', { 'config.toml': 'image = "x"' }, '$IMAGE', /config\.toml: image cannot be set here/],
    ['a wrong line', { 'config.toml': '\nhome = maybe' }, '$IMAGE', /config\.toml: line 2: /],
    ['no such environment', { 'environments/pytorch.toml': '' }, '@pytorhc', /did you mean "pytorch"\?/],
    [
      'a target of the kernel',
      { 'environments/x.toml': 'image = "$IMAGE"\nmounts = ["/tmp:/proc"]' },
      '@x',
      /environments\/x\.toml: mounts: "\/proc" cannot be a target/,
    ],
  ];
  for (const [what, files, image, reason] of wrong) {
    it(`with ${what} end the step, with one sentence, before anything runs`, async () => {
      const { code, stdout, stderr } = await site().run(withFiles(files, `srun --image=${image} echo ran`));
      assert.notEqual(code, 0);
      assert.equal(stdout, '');
      const [sentence = '', ...more] = sentencesIn(stderr);
      assert.match(sentence, reason);
      assert.deepEqual(more, []);
    });
  }
});
