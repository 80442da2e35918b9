import assert from 'node:assert/strict';

import type { ErrorCode } from '../../wrapper/error.js';
import { parseConfig } from '../../wrapper/image/config.js';
import { digestOf } from '../../wrapper/image/digest.js';
import { readImage } from '../../wrapper/image/image.js';
import { parseManifest } from '../../wrapper/image/manifest.js';
import { amd64Variants, selectPlatform } from '../../wrapper/image/platform.js';
import { isCode } from '../support/is-code.js';

const node = { os: 'linux', architecture: 'amd64', variants: ['v2', 'v1', ''] };
const ociManifest = 'application/vnd.oci.image.manifest.v1+json';
const ociIndex = 'application/vnd.oci.image.index.v1+json';
const digest = `sha256:${'a'.repeat(64)}`;
const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: 10 };
const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest, size: 10 };
const manifest = { schemaVersion: 2, mediaType: ociManifest, config, layers: [layer] };

const bytesOf = (value: unknown): Buffer =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));

function refuses(work: () => unknown, code: ErrorCode, reason: RegExp): void {
  assert.throws(work, isCode(code, reason));
}

describe('parseManifest', () => {
  it('reads an OCI manifest', () => {
    assert.deepEqual(parseManifest(bytesOf(manifest), ociManifest, 'x'), {
      kind: 'manifest',
      config,
      layers: [layer],
    });
  });

  it('reads a docker manifest, and one that does not name its type', () => {
    const docker = {
      schemaVersion: 2,
      config: { ...config, mediaType: 'application/vnd.docker.container.image.v1+json' },
      layers: [{ ...layer, mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip' }],
    };
    const type = 'application/vnd.docker.distribution.manifest.v2+json';
    assert.equal(parseManifest(bytesOf(docker), type, 'x').kind, 'manifest');
    assert.equal(parseManifest(bytesOf(docker), undefined, 'x').kind, 'manifest');
  });

  it('accepts the same layer twice, and verifies embedded data', () => {
    const data = Buffer.from('hello');
    const embedded = { ...layer, digest: digestOf(data), size: 5, data: data.toString('base64') };
    const parsed = parseManifest(bytesOf({ ...manifest, layers: [embedded, embedded] }), ociManifest, 'x');
    assert.equal(parsed.kind === 'manifest' && parsed.layers.length, 2);
    const wrong = { ...embedded, data: Buffer.from('hellO').toString('base64') };
    refuses(
      () => parseManifest(bytesOf({ ...manifest, layers: [wrong] }), ociManifest, 'x'),
      'image-malformed',
      /embeds data/,
    );
  });

  const malformed: [string, unknown, RegExp][] = [
    ['text that is not JSON', '{"schemaVersion":', /not valid JSON/],
    ['a list', '[]', /not a JSON object/],
    ['a document that is index and manifest at once', { ...manifest, manifests: [] }, /at once/],
    ['a type that contradicts Content-Type', { ...manifest, mediaType: ociIndex }, /sent as .* calls itself/],
    ['a key that stands twice', `{"schemaVersion":2,"schemaVersion":2}`, /"schemaVersion" twice/],
    ['a key that stands twice, once in escapes', `{"config":1,"c\\u006fnfig":2}`, /"config" twice/],
    ['nesting of 100,000 levels', '['.repeat(100_000), /nested deeper/],
    ['a document over 4 MiB', `{"a":"${'x'.repeat(4 * 1024 * 1024)}"}`, /larger than/],
    [
      'a digest that climbs',
      { ...manifest, config: { ...config, digest: 'sha256:../../etc/passwd' } },
      /digest/,
    ],
    [
      'a digest in upper case',
      { ...manifest, config: { ...config, digest: `sha256:${'A'.repeat(64)}` } },
      /digest/,
    ],
    ['an md5 digest', { ...manifest, layers: [{ ...layer, digest: `md5:${'a'.repeat(32)}` }] }, /digest/],
    ['a negative size', { ...manifest, layers: [{ ...layer, size: -1 }] }, /size/],
    [
      'one layer with two sizes',
      { ...manifest, layers: [layer, { ...layer, size: 11 }] },
      /layer sha256:a+ has 10 bytes, and 11/,
    ],
    ['a size that is no integer', { ...manifest, layers: [{ ...layer, size: 1.5 }] }, /size/],
    ['a size above 2^53', JSON.stringify(manifest).replace('"size":10', '"size":9007199254740993'), /size/],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), /not UTF-8/],
  ];
  for (const [what, document, reason] of malformed) {
    it(`refuses ${what}`, () => {
      const bytes = Buffer.isBuffer(document) ? document : bytesOf(document);
      refuses(() => parseManifest(bytes, ociManifest, 'x'), 'image-malformed', reason);
    });
  }

  const unsupported: [string, unknown, string | undefined, RegExp][] = [
    ['schema 1', { schemaVersion: 1, name: 'x' }, undefined, /schema 1/],
    [
      'schema 1 by its type',
      { a: 1 },
      'application/vnd.docker.distribution.manifest.v1+prettyjws',
      /schema 1/,
    ],
    ['an unknown type', { a: 1 }, 'text/plain', /not a container image/],
    [
      'an artifact',
      {
        ...manifest,
        artifactType: 'application/x-sbom',
        config: { ...config, mediaType: 'application/vnd.oci.empty.v1+json' },
      },
      ociManifest,
      /not a container image but an artifact of type "application\/x-sbom"/,
    ],
    ['an image without layers', { ...manifest, layers: [] }, ociManifest, /no layers/],
    ['more than 127 layers', { ...manifest, layers: Array(128).fill(layer) }, ociManifest, /128 layers/],
    [
      'a layer of unknown type',
      { ...manifest, layers: [{ ...layer, mediaType: 'x/y' }] },
      ociManifest,
      /layer of type "x\/y"/,
    ],
  ];
  for (const [what, document, type, reason] of unsupported) {
    it(`refuses ${what}`, () =>
      refuses(() => parseManifest(bytesOf(document), type, 'x'), 'image-unsupported', reason));
  }

  it('keeps strings apart from structure', () => {
    const tricky = { ...manifest, annotations: { a: '{"b":[[[', c: '\\"', '[': ']' } };
    assert.equal(parseManifest(bytesOf(tricky), ociManifest, 'x').kind, 'manifest');
  });
});

describe('selectPlatform', () => {
  const entry = (os: string, architecture: string, variant?: string) => ({
    mediaType: ociManifest,
    digest,
    size: variant === undefined ? 1 : Number(variant.slice(1)) + 100,
    platform: { os, architecture, ...(variant === undefined ? {} : { variant }) },
  });

  it('takes the best variant that this node runs', () => {
    const index = {
      kind: 'index' as const,
      manifests: [
        entry('linux', 'amd64'),
        entry('linux', 'amd64', 'v3'),
        entry('linux', 'amd64', 'v2'),
        entry('linux', 'arm64'),
      ],
    };
    assert.equal(selectPlatform(index, node, 'x').size, 102);
  });

  it('lists the platforms there are, without attestations', () => {
    const index = {
      kind: 'index' as const,
      manifests: [entry('linux', 'arm64', 'v8'), entry('unknown', 'unknown')],
    };
    refuses(
      () => selectPlatform(index, node, 'x'),
      'platform-not-found',
      /linux\/amd64.*exists for linux\/arm64\/v8$/,
    );
  });

  it('knows the levels of x86-64 by their flags', () => {
    const v2 = ['cx16', 'lahf_lm', 'popcnt', 'sse4_1', 'sse4_2', 'ssse3'];
    assert.deepEqual(amd64Variants(new Set(v2)), ['v2', 'v1', '']);
    assert.deepEqual(amd64Variants(new Set(['avx2'])), ['v1', '']);
  });
});

describe('readImage', () => {
  const store = new Map<string, Buffer>();
  const put = (value: unknown): string => {
    const bytes = bytesOf(value);
    store.set(digestOf(bytes), bytes);
    return digestOf(bytes);
  };
  const source = (wanted: string): Promise<Buffer> => Promise.resolve(store.get(wanted) as Buffer);
  const image = { os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [digest] } };
  const wrap = (child: string, levels: number): string =>
    levels === 0
      ? child
      : wrap(
          put({
            schemaVersion: 2,
            mediaType: ociIndex,
            manifests: [
              {
                mediaType: levels === 1 || child ? typeOf(child) : '',
                digest: child,
                size: 1,
                platform: image,
              },
            ],
          }),
          levels - 1,
        );
  const typeOf = (wanted: string): string =>
    (JSON.parse(store.get(wanted)?.toString() ?? '{}') as { mediaType?: string }).mediaType ?? '';

  it('walks through an index to the image', async () => {
    const top = put({ ...manifest, config: { ...config, digest: put(image) } });
    const read = await readImage(wrap(top, 1), undefined, source, node, 'x');
    assert.equal(read.digest, top);
    assert.equal(read.layers[0]?.diffId, digest);
  });

  it('refuses indexes nested deeper than four', async () => {
    const top = put({ ...manifest, config: { ...config, digest: put(image) } });
    await readImage(wrap(top, 4), undefined, source, node, 'x');
    await assert.rejects(readImage(wrap(top, 5), undefined, source, node, 'x'), /nested deeper than 4/);
  });

  it('refuses an index that leads back to itself', async () => {
    const entry = { mediaType: ociIndex, digest, size: 1, platform: image };
    const loop = bytesOf({ schemaVersion: 2, mediaType: ociIndex, manifests: [entry] });
    let asked = 0;
    const looping = async (): Promise<Buffer> => {
      asked++;
      return loop;
    };
    await assert.rejects(readImage(digest, undefined, looping, node, 'x'), /nested deeper than 4/);
    assert.equal(asked, 5);
  });
});

describe('parseConfig', () => {
  const image = {
    os: 'linux',
    architecture: 'amd64',
    rootfs: { type: 'layers', diff_ids: [digest] },
    config: {
      Env: ['A=b'],
      Entrypoint: null,
      Cmd: ['sh'],
      User: '0',
      WorkingDir: '/x',
      Labels: { a: 'b\nc' },
      Volumes: {},
    },
  };

  it('takes what is there and forgives null', () => {
    const parsed = parseConfig(bytesOf(image), 1, node, 'x');
    assert.deepEqual(
      [parsed.environment, parsed.entrypoint, parsed.command, parsed.user],
      [['A=b'], [], ['sh'], '0'],
    );
  });

  it('refuses a layer count that differs from the manifest', () => {
    refuses(
      () => parseConfig(bytesOf(image), 2, node, 'x'),
      'image-malformed',
      /2 layers in its manifest but 1/,
    );
  });

  it('refuses an image for another platform', () => {
    refuses(
      () => parseConfig(bytesOf({ ...image, architecture: 'arm64' }), 1, node, 'x'),
      'platform-not-found',
      /made for linux\/arm64 but this node needs linux\/amd64/,
    );
  });

  it('refuses an environment that is not a list of strings', () => {
    refuses(
      () => parseConfig(bytesOf({ ...image, config: { Env: { A: 'b' } } }), 1, node, 'x'),
      'image-malformed',
      /Env/,
    );
  });
});
