import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { busyboxImage } from '../support/busybox-image.js';
import { debianImage } from '../support/debian-image.js';
import { layoutLayers } from '../support/layout-layers.js';
import { archive, directory, file, hardLink, symlink } from '../support/tar-writer.js';
import { compareTrees, describeDifferences, type ComparisonOptions } from '../support/tree-comparison.js';
import { fillOddly } from './odd-tree.js';
import { unpackFile } from './root-file.js';
import { eachInSandbox, isRoot, ordinaryUser, type Layer } from './sandbox.js';

describe('stowage-unpack: the same trees as other tools', function () {
  this.slow(20_000);
  const sandbox = eachInSandbox();
  /** A directory that belongs to the user. */
  let place: string;

  before(function () {
    // As root, images hold files of every owner and mode, and any of them can be read to be compared.
    if (!isRoot) this.skip();
  });
  beforeEach(function () {
    this.currentTest?.timeout(300_000);
    place = fs.mkdtempSync(path.join(path.dirname(sandbox().directory), 'stowage-equality-'));
    fs.chownSync(place, ordinaryUser?.uid ?? 0, ordinaryUser?.gid ?? 0);
  });
  afterEach(() => fs.rmSync(place, { recursive: true }));

  const asUser = (program: string, args: readonly string[], input?: Buffer): void => {
    const env = { PATH: process.env['PATH'], HOME: place, LC_ALL: 'C' };
    execFileSync(program, args, {
      ...ordinaryUser,
      env,
      input,
      stdio: ['pipe', 'ignore', 'pipe'],
    });
  };

  /** Where the layers say nothing of the root directory. */
  const withoutRoot: ComparisonOptions = { ignoreTimeOf: (name) => name === '' };

  const assertSame = (expected: string, options?: ComparisonOptions): void => {
    assert.ok(fs.readdirSync(expected).length > 0);
    const differences = compareTrees(sandbox().tree, expected, options);
    assert.equal(differences.length, 0, describeDifferences(differences));
  };

  /** Unpacks without more than warnings. */
  const unpack = async (...layers: (Layer | Buffer)[]): Promise<void> => {
    const outcome = await sandbox().unpack(layers, { maxBytes: 1e10, maxInodes: 1e6 });
    assert.equal(outcome.status, 0, outcome.stderr);
  };

  const tarOptions = ['--preserve-permissions', '--no-same-owner', '--xattrs', '--xattrs-include=user.*'];
  /**
   * What GNU tar makes of an archive, as the user. It gives directories their times when it leaves them, and again
   * never unless told to wait: umoci's archives come back to a directory later.
   */
  const extracted = (tar: Buffer): string => {
    const reference = path.join(place, 'reference');
    asUser('mkdir', [reference]);
    asUser('tar', [...tarOptions, '--delay-directory-restore', '-C', reference, '-xf', '-'], tar);
    return reference;
  };

  const filled = (): string => {
    const source = path.join(place, 'source');
    fs.mkdirSync(source);
    fillOddly(source);
    return source;
  };

  for (const format of ['gnu', 'posix'])
    it(`GNU tar, ${format}, of one of each kind of file`, async () => {
      const options = [`--format=${format}`, '--sparse', ...(format === 'posix' ? ['--xattrs'] : [])];
      const tar = execFileSync('tar', [...options, '-C', filled(), '-cf', '-', '.'], { maxBuffer: 1 << 28 });
      await unpack(tar);
      assertSame(extracted(tar));
    });

  it('GNU tar, of a Debian made by mmdebstrap', async () => {
    const [base] = layoutLayers((await debianImage()).directory);
    assert.ok(base);
    await unpack(base);
    assertSame(extracted(gunzipSync(base.blob)));
  });

  it('GNU tar, of an image made by umoci', async () => {
    const { layout, image } = newLayout();
    const bundle = path.join(place, 'bundle');
    execFileSync('umoci', ['unpack', '--image', image, bundle]);
    fillOddly(path.join(bundle, 'rootfs'));
    execFileSync('umoci', ['repack', '--image', image, bundle]);
    const [layer] = layoutLayers(layout);
    assert.ok(layer);
    await unpack(layer);
    assertSame(extracted(gunzipSync(layer.blob)));
  });

  it('GNU tar, of a layer that skopeo has stored as zstd:chunked', async () => {
    const stored = path.join(place, 'chunked');
    const format = ['--dest-compress', '--dest-compress-format=zstd:chunked'];
    const copy = ['--insecure-policy', 'copy', '--quiet', ...format];
    const { directory: plainLayout } = await busyboxImage();
    execFileSync('skopeo', [...copy, `oci:${plainLayout}:image`, `oci:${stored}:image`]);
    const [layer] = layoutLayers(stored);
    const [gzipped] = layoutLayers(plainLayout);
    assert.ok(layer && gzipped);
    assert.ok(layer.blob.includes(skippableFrame), 'skopeo has written its table of contents');
    await unpack(layer);
    assertSame(extracted(gunzipSync(gzipped.blob)));
  });

  it('GNU tar, of an image made by buildah', async () => {
    const [layer] = layoutLayers(builtByBuildah());
    assert.ok(layer);
    await unpack(layer);
    assertSame(extracted(plain(layer.blob)), withoutRoot);
  });

  for (const compression of ['gzip', 'lzo', 'lz4', 'xz', 'zstd'])
    it(`unsquashfs, of an image made by mksquashfs with ${compression}`, async () => {
      const image = path.join(place, 'image');
      const options = ['-comp', compression, '-noappend', '-quiet', '-no-progress'];
      execFileSync('mksquashfs', [filled(), image, ...options], { stdio: 'ignore' });
      const reference = path.join(place, 'reference');
      asUser('unsquashfs', ['-user-xattrs', '-no-progress', '-quiet', '-dest', reference, image]);
      const { status, stderr } = await unpackFile(sandbox(), fs.readFileSync(image));
      assert.deepEqual([status, stderr], [0, '']);
      assertSame(reference);
    });

  const skippableFrame = Buffer.from([0x50, 0x2a, 0x4d, 0x18]);
  const plain = (blob: Buffer): Buffer => (blob[0] === 0x1f ? gunzipSync(blob) : blob);

  /** An empty image in an OCI layout. */
  const newLayout = (): { layout: string; image: string } => {
    const layout = path.join(place, 'layout');
    const image = `${layout}:image`;
    execFileSync('umoci', ['init', '--layout', layout]);
    execFileSync('umoci', ['new', '--image', image]);
    return { layout, image };
  };

  /** An image of two layers; the upper one removes files and a directory, and replaces another. */
  const builtByBuildah = (): string => {
    const global = ['root', 'runroot'].map((name) => `--${name}=${path.join(place, name)}`);
    const buildah = (...args: string[]): string =>
      execFileSync('buildah', [...global, '--storage-driver=vfs', ...args], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      }).trim();
    /** Changes the root of a new container of `image`, and commits it to `to`. */
    const change = (image: string, to: string, how: (root: string) => void): void => {
      const container = buildah('from', '--pull-never', image);
      how(buildah('mount', container));
      buildah('umount', container);
      buildah('commit', '--quiet', container, to);
    };
    const layout = path.join(place, 'buildah');
    change('scratch', 'first', fillOddly);
    change('first', `oci:${layout}:image`, (root) => {
      for (const name of ['bin', 'none', 'etc/deep/er/leaf'])
        fs.rmSync(`${root}/${name}`, { recursive: true });
      fs.mkdirSync(`${root}/bin`);
      fs.writeFileSync(`${root}/bin/tool`, 'another');
      fs.appendFileSync(`${root}/nothing`, 'something');
    });
    return layout;
  };

  /** What umoci makes of the image in a layout, as the user. */
  const unpackedByUmoci = (layout: string): string => {
    execFileSync('chown', ['-R', String(ordinaryUser?.uid ?? 0), layout]);
    const bundle = path.join(place, 'unpacked');
    asUser('umoci', ['unpack', '--rootless', '--image', `${layout}:image`, bundle]);
    return path.join(bundle, 'rootfs');
  };

  const assertAsUmoci = async (layout: string, options?: ComparisonOptions): Promise<void> => {
    const layers = layoutLayers(layout);
    assert.ok(layers.length > 1);
    await unpack(...layers);
    assertSame(unpackedByUmoci(layout), options);
  };

  it('umoci, of layers made by buildah, with whiteouts', () => assertAsUmoci(builtByBuildah(), withoutRoot));

  it('umoci, of layers with whiteouts and opaque directories', async () => {
    const { layout, image } = newLayout();
    const layers = [
      archive(
        directory('./', { mode: 0o755 }),
        ...['a', 'b', 'lost', 'kept'].flatMap((name) => [
          directory(name),
          directory(`${name}/sub`, { mode: 0o750 }),
          file(`${name}/sub/file`, `lower ${name}`),
          symlink(`${name}/link`, 'sub/file'),
        ]),
        file('gone', '1'),
        file('turned', '1'),
        hardLink('linked', 'gone'),
      ),
      archive(
        directory('a'),
        file('a/.wh..wh..opq'),
        file('a/new', 'upper'),
        directory('b'),
        directory('b/sub', { mode: 0o700 }),
        file('b/sub/.wh..wh..opq'),
        file('.wh.lost'),
        file('.wh.gone'),
        directory('kept'),
        file('kept/.wh.link'),
        directory('turned'),
        file('turned/inside', '2'),
      ),
      archive(directory('lost'), file('lost/again', '3'), file('.wh.turned'), file('a/.wh.new')),
    ];
    for (const [i, layer] of layers.entries()) {
      const tar = path.join(place, `${i}.tar`);
      fs.writeFileSync(tar, layer);
      execFileSync('umoci', ['raw', 'add-layer', '--image', image, tar]);
    }
    await assertAsUmoci(layout);
    assert.deepEqual(
      sandbox()
        .names()
        .filter((name) => /^(a|lost)/.test(name)),
      ['a/', 'lost/', 'lost/again'],
    );
  });

  it('umoci, of a Debian made by mmdebstrap, changed by installing packages', async () => {
    const layout = path.join(place, 'debian');
    fs.cpSync((await debianImage()).directory, layout, { recursive: true });
    // umoci notes other owners than the user in attributes.
    await assertAsUmoci(layout, { ignore: ['attributes'] });
  });
});
