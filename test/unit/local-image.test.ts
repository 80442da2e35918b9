import assert from 'node:assert/strict';

import { type ErrorCode, StowageError } from '../../wrapper/error.js';
import { digestOf } from '../../wrapper/image/digest.js';
import { type LocalFiles, type LocalFormat, readLocalImage } from '../../wrapper/image/local-image.js';
import { isCode } from '../support/is-code.js';

const node = { os: 'linux', architecture: 'amd64', variants: ['v2', 'v1', ''] };
const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const indexType = 'application/vnd.oci.image.index.v1+json';
const layerDigest = `sha256:${'a'.repeat(64)}`;
const tagKey = 'org.opencontainers.image.ref.name';
const nameKey = 'io.containerd.image.name';

const bytesOf = (value: unknown): Buffer =>
  Buffer.isBuffer(value) ? value : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));

/** Files in memory that behave as those of a user do. */
class Files implements LocalFiles {
  readonly content = new Map<string, Buffer>();
  readonly asked: string[] = [];

  put(name: string, value: unknown): void {
    this.content.set(name, bytesOf(value));
  }

  putBlob(value: unknown, mediaType: string): { mediaType: string; digest: string; size: number } {
    const bytes = bytesOf(value);
    const digest = digestOf(bytes);
    this.put(`blobs/${digest.replace(':', '/')}`, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  read(name: string, maxBytes: number): Promise<Uint8Array> {
    this.asked.push(name);
    const bytes = this.content.get(name);
    const problem = bytes === undefined ? 'is missing' : bytes.length > maxBytes ? 'is larger' : undefined;
    if (!bytes || problem) {
      return Promise.reject(
        new StowageError('image-malformed', `image x cannot be read: ${name} ${problem}`),
      );
    }
    return Promise.resolve(bytes);
  }
}

const configOf = (architecture = 'amd64', diffIds = [layerDigest], more: object = {}) => ({
  os: 'linux',
  architecture,
  rootfs: { type: 'layers', diff_ids: diffIds },
  ...more,
});

async function refuses(work: Promise<unknown>, code: ErrorCode, reason: RegExp): Promise<void> {
  await assert.rejects(work, isCode(code, reason));
}

let files: Files;
beforeEach(() => (files = new Files()));
const read = (format: LocalFormat, selector = '') => readLocalImage(format, selector, files, node, 'x');

describe('readLocalImage of an OCI layout', () => {
  type Entry = ReturnType<Files['putBlob']> & { annotations?: object; platform?: object };

  /** A manifest that differs from others by its environment. */
  const putImage = (mark: string, architecture?: string): Entry => {
    const config = configOf(architecture, [layerDigest], { config: { Env: [`MARK=${mark}`] } });
    const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: layerDigest, size: 10 };
    return files.putBlob(
      {
        schemaVersion: 2,
        mediaType: manifestType,
        config: files.putBlob(config, 'application/vnd.oci.image.config.v1+json'),
        layers: [layer],
      },
      manifestType,
    );
  };
  const tagged = (entry: Entry, tag: string): Entry => ({ ...entry, annotations: { [tagKey]: tag } });
  const putIndex = (...manifests: object[]): void => {
    files.put('oci-layout', { imageLayoutVersion: '1.0.0' });
    files.put('index.json', { schemaVersion: 2, manifests });
  };
  const mark = async (selector = ''): Promise<string | undefined> =>
    (await read('oci-layout', selector)).config.environment[0];

  it('reads the only image, and says which files hold its layers', async () => {
    const entry = putImage('a');
    putIndex(entry);
    const image = await read('oci-layout');
    assert.equal(image.digest, entry.digest);
    assert.deepEqual(image.layers, [
      {
        mediaType: 'application/vnd.oci.image.layer.v1.tar',
        digest: layerDigest,
        size: 10,
        diffId: layerDigest,
        member: `blobs/sha256/${'a'.repeat(64)}`,
      },
    ]);
    assert.equal(files.asked.length, 4);
  });

  it('takes the image with the tag that is asked for', async () => {
    putIndex(tagged(putImage('a'), '1'), tagged(putImage('b'), '2'));
    assert.equal(await mark('2'), 'MARK=b');
  });

  it("takes an image by containerd's whole name, and by as much of it as docker asks for", async () => {
    const named = (entry: Entry, name: string): Entry => ({
      ...entry,
      annotations: { [nameKey]: name, [tagKey]: 'latest' },
    });
    putIndex(
      named(putImage('a'), 'docker.io/library/app:latest'),
      named(putImage('b'), 'quay.io/team/app:latest'),
    );
    assert.equal(await mark('quay.io/team/app:latest'), 'MARK=b');
    assert.equal(await mark('app:latest'), 'MARK=a');
    assert.equal(await mark('app'), 'MARK=a');
    await refuses(
      read('oci-layout', 'latest'),
      'image-not-found',
      /docker.io\/library\/app:latest, quay\.io/,
    );
  });

  it('needs no tag when all entries are one image', async () => {
    const entry = putImage('a');
    putIndex(tagged(entry, '1'), tagged(entry, '2'));
    assert.equal(await mark(), 'MARK=a');
  });

  it('refuses two images and no tag given, and lists the tags', async () => {
    putIndex(tagged(putImage('a'), '1'), tagged(putImage('b'), 'two\nlines'), putImage('c'));
    await refuses(
      read('oci-layout'),
      'image-not-found',
      /several images.*: 1, two\\u000alines, one without a name$/,
    );
  });

  it('refuses a tag that is not there, and lists the tags', async () => {
    putIndex(tagged(putImage('a'), '1'), tagged(putImage('b'), '2'));
    await refuses(
      read('oci-layout', '3'),
      'image-not-found',
      /^image x not found: there is no "3" in it, only 1, 2$/,
    );
  });

  it('lists no more tags than can be read', async () => {
    putIndex(...Array.from({ length: 100 }, (_, i) => tagged(putImage(String(i)), `t${i}`)));
    await refuses(read('oci-layout'), 'image-not-found', /t19, 80 more$/);
  });

  it("chooses among entries for several platforms, and leaves out what is no image's", async () => {
    const entry = (architecture: string, os = 'linux') => ({
      ...putImage(architecture, architecture),
      platform: { os, architecture },
    });
    putIndex(entry('arm64'), entry('amd64'), entry('unknown', 'unknown'), {
      ...putImage('signature'),
      artifactType: 'application/x-signature',
    });
    assert.equal(await mark(), 'MARK=amd64');
  });

  it('walks through nested indexes to the image for this platform', async () => {
    const wrap = (...manifests: object[]) =>
      files.putBlob({ schemaVersion: 2, mediaType: indexType, manifests }, indexType);
    const inner = wrap(
      { ...putImage('arm', 'arm64'), platform: { os: 'linux', architecture: 'arm64' } },
      { ...putImage('amd'), platform: { os: 'linux', architecture: 'amd64' } },
    );
    putIndex(wrap(inner));
    assert.equal(await mark(), 'MARK=amd');
  });

  it('refuses an image for another platform, and lists the platforms there are', async () => {
    putIndex(
      files.putBlob(
        {
          schemaVersion: 2,
          mediaType: indexType,
          manifests: [{ ...putImage('a', 'arm64'), platform: { os: 'linux', architecture: 'arm64' } }],
        },
        indexType,
      ),
    );
    await refuses(read('oci-layout'), 'platform-not-found', /exists for linux\/arm64$/);
  });

  it('refuses an index that leads back to itself, by its digest', async () => {
    const digest = `sha256:${'b'.repeat(64)}`;
    const entry = { mediaType: indexType, digest, size: 0 };
    const loop = bytesOf({ schemaVersion: 2, mediaType: indexType, manifests: [entry] });
    files.put(`blobs/sha256/${'b'.repeat(64)}`, loop);
    putIndex({ ...entry, size: loop.length });
    await refuses(read('oci-layout'), 'image-malformed', /wrong bytes in blobs\/sha256\/b{64}/);
  });

  it('refuses indexes nested deeper than four', async () => {
    let entry: object = putImage('a');
    for (let i = 0; i < 5; i++) {
      entry = files.putBlob({ schemaVersion: 2, mediaType: indexType, manifests: [entry] }, indexType);
    }
    putIndex(entry);
    await refuses(read('oci-layout'), 'image-unsupported', /nested deeper than 4/);
  });

  it('names a blob that is missing', async () => {
    const entry = putImage('a');
    files.content.delete(`blobs/${entry.digest.replace(':', '/')}`);
    putIndex(entry);
    await refuses(read('oci-layout'), 'image-malformed', new RegExp(`${entry.digest.slice(7)} is missing`));
  });

  it('refuses a blob with other bytes than its digest promises', async () => {
    const entry = putImage('a');
    const name = `blobs/${entry.digest.replace(':', '/')}`;
    files.put(name, files.content.get(name)?.toString().replace('schemaVersion', 'schemaVersioN'));
    putIndex(entry);
    await refuses(read('oci-layout'), 'image-malformed', /wrong bytes in blobs/);
  });

  it('refuses a blob that is shorter, or longer, than its size', async () => {
    const entry = putImage('a');
    putIndex({ ...entry, size: entry.size + 1 });
    await refuses(read('oci-layout'), 'image-malformed', /wrong bytes in blobs/);
    putIndex({ ...entry, size: entry.size - 1 });
    await refuses(read('oci-layout'), 'image-malformed', /is larger/);
  });

  it('refuses a document that claims more than 4 MiB without asking for it', async () => {
    const entry = putImage('a');
    putIndex({ ...entry, size: 5 * 1024 * 1024 });
    await refuses(read('oci-layout'), 'image-malformed', /5242880 bytes/);
    assert.ok(!files.asked.includes(`blobs/${entry.digest.replace(':', '/')}`));
  });

  const broken: [string, () => void, ErrorCode, RegExp][] = [
    [
      'a directory without the file oci-layout',
      () => files.content.delete('oci-layout'),
      'image-malformed',
      /oci-layout is missing/,
    ],
    [
      'a layout without index.json',
      () => files.content.delete('index.json'),
      'image-malformed',
      /index.json is missing/,
    ],
    [
      'a layout of another version',
      () => files.put('oci-layout', { imageLayoutVersion: '2.0.0' }),
      'image-unsupported',
      /version "2\.0\.0"/,
    ],
    [
      'a layout that does not say its version',
      () => files.put('oci-layout', '[]'),
      'image-malformed',
      /which version/,
    ],
    ['a layout with nothing in it', () => putIndex(), 'image-malformed', /without an image/],
    [
      'a manifest in place of index.json',
      () => files.put('index.json', { schemaVersion: 2, config: {}, layers: [] }),
      'image-malformed',
      /./,
    ],
    [
      'an index.json with a key that stands twice',
      () => files.put('index.json', '{"manifests":[],"manifests":[]}'),
      'image-malformed',
      /"manifests" twice/,
    ],
    [
      'an index.json of 100,000 levels',
      () => files.put('index.json', '['.repeat(100_000)),
      'image-malformed',
      /nested deeper/,
    ],
    [
      'an index.json over 4 MiB',
      () => files.put('index.json', ' '.repeat(4 * 1024 * 1024 + 1)),
      'image-malformed',
      /is larger/,
    ],
    [
      'a digest that climbs',
      () => putIndex({ mediaType: manifestType, digest: 'sha256:../../etc/passwd', size: 1 }),
      'image-malformed',
      /digest/,
    ],
    [
      'an artifact',
      () =>
        putIndex(
          files.putBlob(
            {
              schemaVersion: 2,
              mediaType: manifestType,
              config: { mediaType: 'x/y', digest: layerDigest, size: 1 },
              layers: [],
            },
            manifestType,
          ),
        ),
      'image-unsupported',
      /artifact of type "x\/y"/,
    ],
  ];
  for (const [what, breakIt, code, reason] of broken) {
    it(`refuses ${what}`, async () => {
      putIndex(putImage('a'));
      breakIt();
      await refuses(read('oci-layout'), code, reason);
    });
  }
});

describe('readLocalImage of a docker archive', () => {
  const hex = 'c'.repeat(64);
  const putArchive = (...entries: object[]): void => files.put('manifest.json', entries);
  const entry = (mark: string, tags: string[] | null, layers = ['0/layer.tar']): object => {
    files.put(
      `${mark}.json`,
      configOf(
        'amd64',
        layers.map(() => layerDigest),
        { config: { Env: [`MARK=${mark}`] } },
      ),
    );
    return { Config: `${mark}.json`, RepoTags: tags, Layers: layers };
  };
  const mark = async (selector = ''): Promise<string | undefined> =>
    (await read('docker-archive', selector)).config.environment[0];

  it('reads the only image, whose digest is that of its configuration', async () => {
    putArchive(entry('a', ['app:1'], ['0/layer.tar', './1//layer.tar', '0/layer.tar']));
    const image = await read('docker-archive');
    assert.equal(image.digest, digestOf(files.content.get('a.json') as Buffer));
    assert.deepEqual(
      image.layers.map(({ member, diffId, digest, size }) => [member, diffId, digest, size]),
      ['0/layer.tar', '1/layer.tar', '0/layer.tar'].map((member) => [member, layerDigest, '', 0]),
    );
  });

  it('reads the paths that docker writes since 25', async () => {
    files.put(`blobs/sha256/${hex}`, configOf());
    putArchive({ Config: `blobs/sha256/${hex}`, RepoTags: null, Layers: [`blobs/sha256/${'d'.repeat(64)}`] });
    assert.equal((await read('docker-archive')).layers[0]?.member, `blobs/sha256/${'d'.repeat(64)}`);
  });

  it('takes the image with the name that is asked for, however much of it is spelled out', async () => {
    putArchive(
      entry('a', ['app:1', 'docker.io/team/app:1']),
      entry('b', ['localhost:5000/app:1', 'docker.io/library/db:latest']),
    );
    for (const name of ['app:1', 'docker.io/library/app:1', 'team/app:1'])
      assert.equal(await mark(name), 'MARK=a');
    for (const name of ['localhost:5000/app:1', 'db', 'db:latest']) assert.equal(await mark(name), 'MARK=b');
  });

  it('refuses two images and no name given, and lists the names', async () => {
    putArchive(entry('a', ['app:1', 'app:latest']), entry('b', null));
    await refuses(
      read('docker-archive'),
      'image-not-found',
      /several images; .*: app:1, app:latest, one without a name$/,
    );
  });

  it('refuses a name that is not there, and lists the names', async () => {
    putArchive(entry('a', ['app:1']), entry('b', ['db:2']));
    await refuses(read('docker-archive', 'app:2'), 'image-not-found', /no "app:2" in it, only app:1, db:2$/);
  });

  it('needs no name when all entries are one image', async () => {
    putArchive(entry('a', ['app:1']), entry('a', ['app:2']));
    assert.equal(await mark(), 'MARK=a');
  });

  it('refuses an image for another platform', async () => {
    putArchive(entry('a', null));
    files.put('a.json', configOf('arm64'));
    await refuses(read('docker-archive'), 'platform-not-found', /made for linux\/arm64/);
  });

  const one = (over: object): object => ({
    Config: 'a.json',
    RepoTags: ['app:1'],
    Layers: ['l.tar'],
    ...over,
  });
  const broken: [string, unknown, ErrorCode, RegExp][] = [
    ['a null manifest', 'null', 'image-malformed', /manifest\.json that is not docker's/],
    ['an empty manifest', [], 'image-malformed', /names no image/],
    ['a manifest that is one of OCI', { schemaVersion: 2, layers: [] }, 'image-malformed', /not docker's/],
    ['layers that are null', [one({ Layers: null })], 'image-malformed', /Layers must be array/],
    [
      'a layer path that climbs',
      [one({ Layers: ['../layer.tar'] })],
      'image-malformed',
      /"\.\.\/layer\.tar" .* not a path inside/,
    ],
    [
      'a layer path that climbs later',
      [one({ Layers: ['a/../../layer.tar'] })],
      'image-malformed',
      /not a path inside/,
    ],
    [
      'an absolute layer path',
      [one({ Layers: ['/etc/passwd'] })],
      'image-malformed',
      /"\/etc\/passwd" .* not a path inside/,
    ],
    ['an empty layer path', [one({ Layers: [''] })], 'image-malformed', /not a path inside/],
    [
      'a layer path with a NUL',
      [one({ Layers: ['a\0b'] })],
      'image-malformed',
      /"a\\u0000b" .* not a path inside/,
    ],
    [
      'a configuration path that climbs',
      [one({ Config: '../a.json' })],
      'image-malformed',
      /not a path inside/,
    ],
    ['a configuration that is missing', [one({ Config: 'b.json' })], 'image-malformed', /b\.json is missing/],
    [
      'a layer count unlike the diff_ids',
      [one({ Layers: ['l.tar', 'm.tar'] })],
      'image-malformed',
      /2 layers in its manifest but 1/,
    ],
    ['an image without layers', [one({ Layers: [] })], 'image-unsupported', /no layers/],
    ['more than 127 layers', [one({ Layers: Array(128).fill('l.tar') })], 'image-unsupported', /128 layers/],
    ['a key that stands twice', '[{"Config":"a","Config":"b"}]', 'image-malformed', /"Config" twice/],
    ['nesting of 100,000 levels', '['.repeat(100_000), 'image-malformed', /nested deeper/],
    ['text that is not JSON', 'hello', 'image-malformed', /not valid JSON/],
  ];
  for (const [what, manifest, code, reason] of broken) {
    it(`refuses ${what}`, async () => {
      files.put('a.json', configOf());
      files.put('manifest.json', manifest);
      await refuses(read('docker-archive'), code, reason);
    });
  }

  it('refuses a missing manifest', async () => {
    await refuses(read('docker-archive'), 'image-malformed', /manifest\.json is missing/);
  });
});
