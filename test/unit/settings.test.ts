import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { readSettings } from '../../wrapper/settings/read-settings.js';
import type { SettingsText } from '../../wrapper/settings/settings-file.js';
import { isCode } from '../support/is-code.js';

const own = '/home/a/.config/stowage';

/** "config" or an environment of the user's own, with that text. */
function file(name: string, text: string, more: Partial<SettingsText> = {}): SettingsText {
  const isConfig = name === 'config';
  return {
    name,
    path: `~/.config/stowage/${isConfig ? '' : 'environments/'}${name}.toml`,
    content: Buffer.from(text),
    problem: '',
    variables: new Map([['HOME', '/home/a']]),
    directory: isConfig ? own : `${own}/environments`,
    others: [],
    ...more,
  };
}
const missing = (name: string, others: string[] = []): SettingsText =>
  file(name, '', { path: '', problem: 'it is neither in A nor in B', others });

const optionsOf = (answer: ReturnType<typeof readSettings>): string[] =>
  'options' in answer
    ? answer.options.map(({ name, value }) => `${name}=${value}`)
    : assert.fail('more is wanted');
const environment = (text: string, more?: Partial<SettingsText>) =>
  readSettings('@x', [], [file('x', `image = "app:1"\n${text}`, more)]);
const refused = (work: () => unknown, reason: RegExp) =>
  assert.throws(work, isCode('settings-invalid', reason));

describe('config.toml', () => {
  it('holds options by their names, and the command line goes over it', () => {
    const config = `
      mount = ["/scratch:/scratch", "tmpfs:/var/tmp:size=1G"]
      device = ["site.example/mpi=cray"]
      workdir = "/work"
      home = false
      writable = true
      root = false
      entrypoint = true
      unshare = ["net", "ipc"]
      pull = "never"
      show_digest = true
      env_from_job = ["OMP_NUM_THREADS"]
      [env]
      A = "one, two"
      B = """first
second"""`;
    assert.deepEqual(
      optionsOf(
        readSettings('app:1', [{ name: 'root', value: 'yes', origin: '' }], [file('config', config)]),
      ),
      [
        'mount=/scratch:/scratch,tmpfs:/var/tmp:size=1G',
        'device=site.example/mpi=cray',
        'workdir=/work',
        'env=A=one\\, two,B=first\nsecond,OMP_NUM_THREADS',
        'home=no',
        'writable=yes',
        'root=no',
        'entrypoint=yes',
        'show-digest=yes',
        'unshare=net,ipc',
        'pull=never',
        'root=yes',
      ],
    );
  });

  it('leaves the image alone', () =>
    assert.deepEqual(readSettings('./app.sif', [], [file('config', '')]), {
      reference: './app.sif',
      options: [],
    }));

  const wrong: [string, RegExp][] = [
    [
      'image = "app"',
      /^~\/\.config\/stowage\/config\.toml: image cannot be set here: which image a job runs in/,
    ],
    ['save = "/x"', /save cannot be set here: .*--image-save/],
    ['mounts = []', /unknown key "mounts"; did you mean "mount"\?/],
    ['frobnicate = 1', /unknown key "frobnicate"; known are mount, device, workdir/],
    ['home = "no"', /home must be true or false/],
    ['mount = "/a:/b"', /mount must be a list/],
    ['mount = ["/a:/b", "/c:d"]', /config\.toml: mount\.1: "\/c:d": "d" must be an absolute path/],
    ['mount = ["/a:/b:or"]', /mount\.0: "\/a:\/b:or": there is no flag "or"; did you mean "ro"\?/],
    ['workdir = "x"', /workdir: "x" must be an absolute path/],
    ['env = { SLURM_PROCID = "1" }', /env: SLURM_PROCID is Slurm's/],
    ['env = { A = 1 }', /env\.A must be a text in quotes/],
    ['env = { "A,B" = "x" }', /env: "A,B" is no name of a variable/],
    ['env_from_job = ["A=b"]', /env_from_job: "A=b" is no name of a variable/],
    ['device = ["a,,b"]', /device\.0: "a,,b" holds an empty name/],
    ['unshare = ["pid"]', /unshare\.0 must be one of net, ipc, uts/],
    ['pull = "often"', /pull must be one of missing, always, never/],
    ['\nhome = maybe', /^~\/\.config\/stowage\/config\.toml: line 2: /],
    ['home = true\nhome = false', /line 2: /],
  ];
  for (const [text, reason] of wrong) {
    it(`refuses ${JSON.stringify(text)}`, () =>
      refused(() => readSettings('app', [], [file('config', text)]), reason));
  }

  it('cannot take the memory of stowaged', () => {
    const variables = new Map([['A', 'x'.repeat(100_000)]]);
    const read = (text: string) => readSettings('app', [], [file('config', text, { variables })]);
    refused(
      () => read('workdir = "/${A}${A}${A}"'),
      /workdir: with its variables, the file comes to more text/,
    );
    refused(() => read(`env = { A = "\${A}", B = "\${A}", C = "\${A}" }`), /env\.C: with its variables/);
    refused(() => read(`a = ${'['.repeat(100_000)}`), /line 1: .*nested/);
    refused(() => read(`mount = ["${'/a,'.repeat(256)}/a"]`), /mount\.0: there are more than 256 mounts/);
    const options = Array.from({ length: 257 }, () => ({ name: 'workdir', value: '/', origin: '' }));
    refused(
      () => readSettings('app', options, []),
      /come to 257 options with 257 bytes, and 256 with 262144/,
    );
  });

  it('says what the client could not read, and what is no text', () => {
    const unreadable = file('config', '', { problem: 'cannot be read: Permission denied' });
    refused(
      () => readSettings('app', [], [unreadable]),
      /^~\/\.config\/stowage\/config\.toml cannot be read: Permission denied$/,
    );
    const binary = file('config', '', { content: Buffer.of(0x61, 0xff) });
    refused(() => readSettings('app', [], [binary]), /config\.toml: it is not UTF-8/);
  });
});

describe('a named environment', () => {
  it('stands for its image', () => {
    const answer = environment('mounts = ["/scratch"]');
    assert.deepEqual(answer, {
      reference: 'app:1',
      options: [
        { name: 'mount', value: '/scratch', origin: '~/.config/stowage/environments/x.toml: mounts' },
      ],
    });
  });

  it('goes over the defaults, and the command line over both', () => {
    const files = [file('config', 'workdir = "/one"'), file('x', 'image = "app"\nworkdir = "/two"')];
    assert.deepEqual(
      optionsOf(readSettings('@x', [{ name: 'workdir', value: '/three', origin: '' }], files)),
      ['workdir=/one', 'workdir=/two', 'workdir=/three'],
    );
  });

  const images: [string, string][] = [
    ['./app.sqsh', `${own}/environments/app.sqsh`],
    ['../app.sqsh', `${own}/environments/../app.sqsh`],
    ['oci:layout:tag', `oci:${own}/environments/layout:tag`],
    ['/data/app.sqsh', '/data/app.sqsh'],
    ['~/app.sqsh', '~/app.sqsh'],
    ['docker://quay.io/team/app:1', 'docker://quay.io/team/app:1'],
    ['${HOME}/app.sqsh', '/home/a/app.sqsh'],
  ];
  for (const [image, reference] of images) {
    it(`of ${image}`, () => {
      const answer = readSettings('@x', [], [file('x', `image = '${image}'`)]);
      assert.equal('reference' in answer && answer.reference, reference);
    });
  }

  it('has relative mounts begin at its file', () =>
    assert.deepEqual(optionsOf(environment('mounts = ["./data:/data:ro", "../more"]')), [
      `mount=${own}/environments/data:/data:ro,${own}/environments/../more`,
    ]));

  it('has variables put in, of which each is a piece of one path', () => {
    const variables = new Map([
      ['DIR', '/a:b,c'],
      ['N', '7'],
    ]);
    assert.deepEqual(
      optionsOf(environment('mounts = ["${DIR}/x:/x"]\nenv = { A = "${N}$${N}$N, ${DIR}" }', { variables })),
      ['mount=/a\\:b\\,c/x:/x', 'env=A=7${N}$N\\, /a\\:b\\,c'],
    );
  });

  it('asks for what it is built on, and puts that before it', () => {
    const files = [file('x', 'base = ["b", "c"]\nworkdir = "/x"')];
    assert.deepEqual(readSettings('@x', [], files), { wanted: ['b', 'c'] });
    files.push(
      file('b', 'base = "d"\nimage = "one"\nworkdir = "/b"'),
      file('c', 'base = "d"\nimage = "two"\nworkdir = "/c"'),
    );
    assert.deepEqual(readSettings('@x', [], files), { wanted: ['d'] });
    files.push(file('d', 'workdir = "/d"'));
    const answer = readSettings('@x', [], files);
    assert.deepEqual(optionsOf(answer), ['workdir=/d', 'workdir=/b', 'workdir=/c', 'workdir=/x']);
    assert.equal('reference' in answer && answer.reference, 'two');
  });

  it('may be the ninth of a chain, and not the tenth', () => {
    const chain = (length: number) =>
      Array.from({ length }, (_, i) =>
        file(i === 0 ? 'x' : `e${i}`, i === length - 1 ? 'image = "app"' : `base = "e${i + 1}"`),
      );
    assert.deepEqual(readSettings('@x', [], chain(9)), { reference: 'app', options: [] });
    refused(
      () => readSettings('@x', [], chain(10)),
      /e8\.toml: base: environments "x" → "e1" → .* → "e9" are more than 8 built on each other$/,
    );
  });

  it('is refused if it is built on itself', () =>
    refused(
      () => readSettings('@x', [], [file('x', 'base = "y"'), file('y', 'base = "x"')]),
      /^~\/.*\/y\.toml: base: environments "x" → "y" → "x" are built on each other in a circle$/,
    ));

  const wrong: [string, RegExp][] = [
    ['base = "../x"', /x\.toml: base: "\.\.\/x" is no name of an environment/],
    ['base = "config"', /base: "config" cannot be the name of an environment/],
    ['base = 7', /base must be a text in quotes or a list/],
    ['mount = []', /unknown key "mount"; did you mean "mounts"\?/],
    ['annotations = {}', /annotations cannot be set here: .*; name devices instead/],
    ['workdir = "${NOPE}"', /x\.toml: workdir: the job has no variable NOPE, which "\$\{NOPE\}" names/],
    ['workdir = "${}"', /workdir: "\$\{\}" holds a "\$\{" without NAME/],
    ['workdir = "/a${b"', /holds a "\$\{" without NAME/],
    ['__proto__ = { image = "x" }', /unknown key "__proto__"/],
  ];
  for (const [text, reason] of wrong) {
    it(`is refused with ${JSON.stringify(text)}`, () => refused(() => environment(text), reason));
  }

  const badImages: [string, RegExp][] = [
    ['image = "@y"', /x\.toml: image: it cannot be an environment; write base = "y"/],
    ['image = "Bad Name"', /x\.toml: image: image "Bad Name" is not valid/],
    ['image = "/"', /image: .*is not valid: it is no image but a directory above others/],
    ['workdir = "/"', /^environment "x" names no image.*add image = "…" to ~\/.*\/x\.toml$/],
  ];
  for (const [text, reason] of badImages) {
    it(`is refused with ${text}`, () => refused(() => readSettings('@x', [], [file('x', text)]), reason));
  }

  it('that does not exist is refused with where it was looked for, and what there is', () => {
    refused(
      () => readSettings('@pytorhc', [], [missing('pytorhc', ['ubuntu', 'pytorch'])]),
      /^environment "pytorhc" does not exist: it is neither in A nor in B; did you mean "pytorch"\?$/,
    );
    refused(
      () => readSettings('@x', [], [missing('x', ['ubuntu-22.04', 'pytorch', 'pytorch'])]),
      /; there are pytorch, ubuntu-22\.04$/,
    );
    refused(() => readSettings('@x', [], [missing('x')]), /; there are no others either$/);
    refused(
      () => readSettings('@x', [], [file('x', 'base = "y"'), missing('y')]),
      /^environment "y", which ~\/.*\/x\.toml is built on, does not exist: /,
    );
  });

  it('is not compared for long with names that nobody would take for its own', () => {
    const name = 'y'.repeat(128);
    const others = Array<string>(256).fill('z'.repeat(8192));
    const began = performance.now();
    refused(() => readSettings(`@${name}`, [], [file(name, '', { path: '', others })]), /does not exist/);
    refused(() => environment(`${'k'.repeat(250_000)} = 1`), /x\.toml: unknown key "k{200}…"; known are/);
    assert.ok(performance.now() - began < 2000);
  });

  it('is right in the example that is shipped', () => {
    const example = readFileSync('slurm-conf-examples/environment-python.toml', 'utf8');
    const answer = readSettings('@x', [], [file('x', example, { variables: new Map([['USER', 'a']]) })]);
    assert.equal('reference' in answer && answer.reference, 'docker.io/library/python:3.13-slim');
    assert.ok(optionsOf(answer).includes('mount=/scratch/a:/scratch'));
  });

  it('has a name that cannot lead anywhere else', () => {
    for (const name of ['', '../x', '.x', '-x', 'a/b', 'a b', 'a'.repeat(129), 'config']) {
      refused(() => readSettings(`@${name}`, [], []), /^--image: "/);
    }
  });
});
