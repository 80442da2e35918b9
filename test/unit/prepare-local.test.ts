import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

import { status } from '@grpc/grpc-js';

import type { stowage } from '#proto';

import { digestOf } from '../../wrapper/image/digest.js';
import { LocalFormat, type PrepareResponseMessage } from '../../wrapper/rpc/definitions.js';
import { type Call, client, eventsOf, failure, type Request, TestDaemon } from '../support/test-daemon.js';

type Document = stowage.v1.Document.$Properties;
type Wanted = { name: string; maxBytes: number };

const digest = `sha256:${'a'.repeat(64)}`;
const reference = 'docker-archive:/data/app.tar';
const archive: Request = { client, reference, local: { format: LocalFormat.FORMAT_DOCKER_ARCHIVE } };
const manifest = Buffer.from(
  JSON.stringify([{ Config: 'a.json', RepoTags: ['app:1'], Layers: ['0/layer.tar', '1/layer.tar'] }]),
);
const config = Buffer.from(
  JSON.stringify({
    os: 'linux',
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    rootfs: { type: 'layers', diff_ids: [digest, digest] },
    config: { Env: ['A=b'], WorkingDir: '/w' },
  }),
);
const files = new Map([
  ['manifest.json', manifest],
  ['a.json', config],
]);

describe('stowaged, for an image in a file', () => {
  let daemon: TestDaemon;
  let call: Call;

  beforeEach(async () => {
    daemon = await TestDaemon.start();
  });
  afterEach(() => daemon.end());

  /** Says `request`, and what `answer` makes of each question; undefined says nothing. */
  const talk = async (
    request: Request,
    answer: (wanted: Wanted) => Document | Request[] | undefined = ({ name }) => ({
      name,
      content: files.get(name) ?? null,
    }),
  ): Promise<PrepareResponseMessage[]> => {
    call = daemon.open();
    call.on('data', ({ documentWanted }: PrepareResponseMessage) => {
      if (!documentWanted) return;
      const { name, maxBytes } = documentWanted;
      const said = answer({ name: name ?? '', maxBytes: Number(maxBytes) });
      if (Array.isArray(said)) for (const message of said) call.write(message);
      else if (said) call.write({ document: said });
    });
    call.write(request);
    return eventsOf(call);
  };
  const planOf = (events: PrepareResponseMessage[]) => events.at(-1)?.plan ?? assert.fail('no plan');
  const variable = (plan: ReturnType<typeof planOf>, name: string) =>
    plan.environment?.find((entry) => entry.name === name)?.value;
  const ended = async (): Promise<Record<string, unknown> | undefined> => {
    while (daemon.log.length === 0) await sleep(5);
    return daemon.log[0];
  };

  it('asks for the documents, and says which files hold the layers', async () => {
    const plan = planOf(await talk(archive));
    assert.equal(plan.canonicalReference, reference);
    assert.equal(plan.imageDigest, digestOf(config));
    assert.deepEqual(
      plan.layers?.map((layer) => [layer.member, layer.diffId, layer.digest]),
      [
        ['0/layer.tar', digest, ''],
        ['1/layer.tar', digest, ''],
      ],
    );
    assert.equal(plan.blobTicket?.length ?? 0, 0);
    assert.equal(plan.workingDirectory, '/w');
    assert.deepEqual(
      ['A', 'STOWAGE_IMAGE', 'STOWAGE_IMAGE_DIGEST'].map((name) => variable(plan, name)),
      ['b', reference, digestOf(config)],
    );
    assert.deepEqual([(await ended())?.image, (await ended())?.digest], [reference, digestOf(config)]);
  });

  it('passes on which of several images is meant', async () => {
    const local = { format: LocalFormat.FORMAT_DOCKER_ARCHIVE, selector: 'app:2' };
    await assert.rejects(
      talk({ ...archive, local }),
      failure(
        status.NOT_FOUND,
        'image-not-found',
        /docker-archive:\/data\/app\.tar .*no "app:2" in it, only app:1/,
      ),
    );
  });

  it('reads an OCI layout', async () => {
    const put = (value: object): { digest: string; size: number } => {
      const bytes = Buffer.from(JSON.stringify(value));
      layout.set(`blobs/${digestOf(bytes).replace(':', '/')}`, bytes);
      return { digest: digestOf(bytes), size: bytes.length };
    };
    const layout = new Map<string, Buffer>();
    const mediaType = 'application/vnd.oci.image.manifest.v1+json';
    layout.set(`blobs/${digestOf(config).replace(':', '/')}`, config);
    const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size: 7 };
    const entry = put({
      schemaVersion: 2,
      mediaType,
      config: {
        mediaType: 'application/vnd.oci.image.config.v1+json',
        digest: digestOf(config),
        size: config.length,
      },
      layers: [layer, layer],
    });
    layout.set('oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
    layout.set(
      'index.json',
      Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [{ ...entry, mediaType }] })),
    );
    const local = { format: LocalFormat.FORMAT_OCI_LAYOUT };
    const events = await talk({ client, reference: 'oci:/data/app', local }, ({ name }) => ({
      name,
      content: layout.get(name) ?? null,
    }));
    const plan = planOf(events);
    assert.equal(plan.imageDigest, entry.digest);
    assert.equal(plan.layers?.[0]?.member, `blobs/sha256/${'a'.repeat(64)}`);
    assert.ok(!events.some(({ layers }) => layers));
  });

  it('keeps nothing of it in the store', async () => {
    await talk(archive);
    assert.deepEqual(await readdir(`${daemon.directory}/store/blobs/sha256`), []);
  });

  it('does not remember it for the next caller, who may have another file of that name', async () => {
    await talk(archive);
    const other = Buffer.from(manifest.toString().replace('0/layer.tar', '2/layer.tar'));
    const plan = planOf(
      await talk(archive, ({ name }) => ({
        name,
        content: name === 'manifest.json' ? other : (files.get(name) ?? null),
      })),
    );
    assert.equal(plan.layers?.[0]?.member, '2/layer.tar');
  });

  it('asks nothing about a root file system in a file', async () => {
    const local = { format: LocalFormat.FORMAT_ROOT_FILE_SYSTEM, digest };
    const plan = planOf(
      await talk({ client, reference: '/data/app.sqsh', local }, () => assert.fail('asked')),
    );
    assert.equal(plan.imageDigest, digest);
    assert.deepEqual(plan.layers ?? [], []);
    assert.equal(variable(plan, 'STOWAGE_IMAGE'), '/data/app.sqsh');
    assert.equal(variable(plan, 'STOWAGE_IMAGE_DIGEST'), digest);
    assert.match(variable(plan, 'PATH') ?? '', /\/usr\/bin/);
    assert.equal(plan.mountSquashfs ?? false, false);
  });

  it('says that squashfs is to be mounted where the site wants that', async () => {
    await daemon.stopDaemon();
    await daemon.startDaemon('[image]\nsquashfs = "mount"');
    const local = { format: LocalFormat.FORMAT_ROOT_FILE_SYSTEM, digest };
    assert.equal(planOf(await talk({ client, reference: '/data/app.sqsh', local })).mountSquashfs, true);
  });

  it('takes away the digest of the image around a directory, which has none', async () => {
    const local = { format: LocalFormat.FORMAT_ROOT_FILE_SYSTEM };
    const plan = planOf(await talk({ client, reference: '/data/root', local }));
    assert.equal(plan.imageDigest ?? '', '');
    assert.equal(variable(plan, 'STOWAGE_IMAGE_DIGEST'), undefined);
    assert.ok(plan.unsetEnvironment?.includes('STOWAGE_IMAGE_DIGEST'));
  });

  it('tells the user what the client found in place of a document', async () => {
    await assert.rejects(
      talk(archive, ({ name }) => ({ name, problem: 'is a symbolic\nlink' })),
      failure(
        status.FAILED_PRECONDITION,
        'image-malformed',
        /^image docker-archive:\/data\/app\.tar cannot be had: manifest\.json is a symbolic\\u000alink$/,
      ),
    );
  });

  const misbehaving: [string, (wanted: Wanted) => Document | Request[], RegExp][] = [
    [
      'a document of another name',
      () => ({ name: 'b', content: manifest }),
      /"manifest\.json" was asked for, and "b" came/,
    ],
    [
      'a document larger than asked for',
      ({ name, maxBytes }) => ({ name, content: Buffer.alloc(maxBytes + 1) }),
      /4194305 bytes, and 4194304 were asked for/,
    ],
    ['a second request', () => [archive], /another request came/],
    [
      'a request together with a document',
      ({ name }) => [{ ...archive, document: { name, content: manifest } }],
      /another request came/,
    ],
    ['an empty message', () => [{}], /another request came/],
    [
      'a document twice',
      ({ name }) => Array(2).fill({ document: { name, content: files.get(name) } }) as Request[],
      /nobody had asked for|"a\.json" was asked for/,
    ],
  ];
  for (const [what, answer, reason] of misbehaving) {
    it(`refuses ${what}`, async () => {
      await assert.rejects(
        talk(archive, answer),
        failure(status.INVALID_ARGUMENT, 'request-invalid', reason),
      );
    });
  }

  it('does not listen to a document that nobody asked for', async () => {
    daemon.registry.addImage('team/app', '1', { layers: [Buffer.from('a layer')] });
    call = daemon.open();
    call.write({ client, reference: `${daemon.registry.host}/team/app:1` });
    call.write({ document: { name: 'manifest.json', content: manifest } });
    assert.ok((await eventsOf(call)).at(-1)?.plan);
  });

  it('refuses a call that begins with a document', async () => {
    await assert.rejects(
      talk({ document: { name: 'manifest.json', content: manifest } }),
      failure(status.INVALID_ARGUMENT, 'request-invalid', /begins with a document/),
    );
  });

  it('refuses a call in which nothing is said, or no answer', async () => {
    call = daemon.open();
    call.end();
    await assert.rejects(
      eventsOf(call),
      failure(status.INVALID_ARGUMENT, 'request-invalid', /before it had sent its request/),
    );
    call = daemon.call(archive);
    call.end();
    await assert.rejects(
      eventsOf(call),
      failure(status.INVALID_ARGUMENT, 'request-invalid', /had sent "manifest\.json"/),
    );
  });

  it('stops waiting for a document when the caller goes away', async () => {
    const events = talk(archive, () => {
      call.cancel();
      return undefined;
    });
    await assert.rejects(events, { code: status.CANCELLED });
    assert.equal((await ended())?.event, 'cancelled');
  });

  it('stops waiting for a document when it is stopped itself', async function () {
    this.timeout(8000);
    let stopped: Promise<void> | undefined;
    const events = talk(archive, () => {
      stopped = daemon.stopDaemon();
      return undefined;
    });
    await assert.rejects(events, failure(status.UNAVAILABLE, 'daemon-stopping', /try again/));
    await stopped;
  });

  const root = LocalFormat.FORMAT_ROOT_FILE_SYSTEM;
  const wrong: [string, Request, RegExp][] = [
    ['a local image of no format', { ...archive, local: {} }, /format/],
    ['a local image of an unknown format', { ...archive, local: { format: 9 as never } }, /format/],
    [
      'a digest that climbs',
      { ...archive, local: { format: root, digest: 'sha256:../../x' } },
      /not a digest/,
    ],
    [
      'a digest of an image that has its own',
      { ...archive, local: { ...archive.local, digest } },
      /does not have/,
    ],
    [
      'a selector for a root file system',
      { ...archive, local: { format: root, selector: 'a' } },
      /does not have/,
    ],
    [
      'a reference to a registry for a local image',
      { ...archive, reference: 'ubuntu:24.04' },
      /do not fit together/,
    ],
    ['a path without its local image', { client, reference: '/data/app.sif' }, /do not fit together/],
  ];
  for (const [what, request, reason] of wrong) {
    it(`refuses ${what}`, async () => {
      await assert.rejects(talk(request), failure(status.INVALID_ARGUMENT, 'request-invalid', reason));
    });
  }

  it('applies the limits of the site', async () => {
    await daemon.stopDaemon();
    await daemon.startDaemon('[budget]\nmax_bytes = 10\nmax_inodes = 11\nmax_seconds = 12\nmax_depth = 13');
    const { budget } = planOf(await talk(archive));
    assert.deepEqual(
      [budget?.maxBytes, budget?.maxInodes, budget?.maxSeconds, budget?.maxDepth].map(Number),
      [10, 11, 12, 13],
    );
  });
});
