import { createHash } from 'node:crypto';
import { mkdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { sha256Of, type Compression } from './compress.js';

/** A layer as the benchmark hands it to unpackers. */
export interface BenchLayer {
  readonly compression: Compression;
  /** Name in the layout, such as `blobs/sha256/…`. */
  readonly path: string;
  readonly size: number;
  readonly digest: string;
  /** sha256 of the tar stream. */
  readonly diffId: string;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
}

const layerType = (compression: Compression) =>
  `application/vnd.oci.image.layer.v1.tar+${compression}` as const;

/** Writes an OCI layout. */
export class LayoutWriter {
  readonly #directory: string;
  readonly #manifests: Descriptor[] = [];

  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(`${directory}/blobs/sha256`, { recursive: true });
  }

  /** Moves the compressed file into the layout. */
  async addLayer(file: string, compression: Compression, diffId: string): Promise<BenchLayer> {
    const digest = await sha256Of(file);
    const path = `blobs/${digest.replace(':', '/')}`;
    renameSync(file, `${this.#directory}/${path}`);
    const { size } = statSync(`${this.#directory}/${path}`);
    return { compression, path, size, digest, diffId };
  }

  addImage(tag: string, layers: readonly BenchLayer[], architecture: string): void {
    const config = this.#addDocument('application/vnd.oci.image.config.v1+json', {
      architecture,
      os: 'linux',
      config: { Cmd: ['/bin/sh'] },
      rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    });
    const mediaType = 'application/vnd.oci.image.manifest.v1+json';
    const manifest = this.#addDocument(mediaType, {
      schemaVersion: 2,
      mediaType,
      config,
      layers: layers.map(({ compression, digest, size }) => ({
        mediaType: layerType(compression),
        digest,
        size,
      })),
    });
    this.#manifests.push({ ...manifest, annotations: { 'org.opencontainers.image.ref.name': tag } });
  }

  finish(): void {
    writeFileSync(`${this.#directory}/oci-layout`, JSON.stringify({ imageLayoutVersion: '1.0.0' }));
    const index = { schemaVersion: 2, manifests: this.#manifests };
    writeFileSync(`${this.#directory}/index.json`, JSON.stringify(index));
  }

  #addDocument(mediaType: string, document: object): Descriptor {
    const text = JSON.stringify(document);
    const hash = createHash('sha256').update(text).digest('hex');
    writeFileSync(`${this.#directory}/blobs/sha256/${hash}`, text);
    return { mediaType, digest: `sha256:${hash}`, size: Buffer.byteLength(text) };
  }
}
