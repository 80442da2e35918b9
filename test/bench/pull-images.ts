import { createCipheriv, createHash } from 'node:crypto';
import { Readable } from 'node:stream';

/** An image in the registry, all of its layers different and incompressible. */
export interface PullImage {
  /** As people read it: `1 layer of 1 GB`. */
  readonly name: string;
  readonly reference: string;
  readonly bytes: number;
  /** Where the layers are, lowest first. */
  readonly urls: readonly string[];
}

export interface Wish {
  readonly name: string;
  readonly layers: number;
  readonly layerBytes: number;
}

interface Blob {
  readonly digest: string;
  readonly size: number;
}

const stepBytes = 1 << 20;

/** Bytes without any pattern, the same ones for the same seed. */
function* noise(seed: string, bytes: number): Generator<Buffer> {
  const key = createHash('sha256').update(seed).digest();
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  const zeros = Buffer.alloc(stepBytes);
  for (let left = bytes; left > 0; left -= stepBytes)
    yield cipher.update(zeros.subarray(0, Math.min(left, stepBytes)));
}

const describe = (content: Iterable<Buffer>): Blob => {
  const hash = createHash('sha256');
  let size = 0;
  for (const chunk of content) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { digest: `sha256:${hash.digest('hex')}`, size };
};

const expectStatus = async (answer: Response, status: number): Promise<Response> => {
  if (answer.status === status) return answer;
  throw new Error(`docker-registry answered ${answer.status} to an upload: ${await answer.text()}`);
};

/** OCI distribution-spec v1.1, "Pushing blobs": POST then PUT. */
const pushBlob = async (
  repository: string,
  { digest }: Blob,
  content: Iterable<Buffer>,
  signal: AbortSignal,
): Promise<void> => {
  const begun = await expectStatus(
    await fetch(`${repository}/blobs/uploads/`, { method: 'POST', signal }),
    202,
  );
  const location = new URL(begun.headers.get('location') ?? '', repository);
  location.searchParams.set('digest', digest);
  const body = Readable.toWeb(Readable.from(content)) as unknown as NonNullable<RequestInit['body']>;
  const headers = { 'content-type': 'application/octet-stream' };
  const upload: RequestInit & { duplex: 'half' } = { method: 'PUT', headers, body, duplex: 'half', signal };
  await expectStatus(await fetch(location, upload), 201);
};

/** Makes an image and pushes it to the registry at `host`. */
export const pushImage = async (host: string, wish: Wish, signal: AbortSignal): Promise<PullImage> => {
  const name = `pull-${wish.layers}x${wish.layerBytes}`;
  const repository = `http://${host}/v2/${name}`;
  const layers: Blob[] = [];
  for (let index = 0; index < wish.layers; index++) {
    const content = () => noise(`${name} ${index}`, wish.layerBytes);
    const layer = describe(content());
    await pushBlob(repository, layer, content(), signal);
    layers.push(layer);
  }
  const architecture = { x64: 'amd64' }[process.arch as string] ?? process.arch;
  const rootfs = { type: 'layers', diff_ids: layers.map(({ digest }) => digest) };
  const configBytes = Buffer.from(JSON.stringify({ os: 'linux', architecture, rootfs, config: {} }));
  const config = describe([configBytes]);
  await pushBlob(repository, config, [configBytes], signal);
  const manifestType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = {
    schemaVersion: 2,
    mediaType: manifestType,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
    layers: layers.map((layer) => ({ mediaType: 'application/vnd.oci.image.layer.v1.tar', ...layer })),
  };
  const headers = { 'content-type': manifestType };
  const body = JSON.stringify(manifest);
  await expectStatus(await fetch(`${repository}/manifests/1`, { method: 'PUT', headers, body, signal }), 201);
  return {
    name: wish.name,
    reference: `${host}/${name}:1`,
    bytes: wish.layers * wish.layerBytes,
    urls: layers.map(({ digest }) => `${repository}/blobs/${digest}`),
  };
};
