import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { sha256 } from '../support/fault-registry.js';

/** A blob that somebody else has. */
export interface Coveted {
  readonly digest: string;
  readonly size: number;
}

/** How the owner of the registry answers for blobs that are not there. */
export type Lie = 'has them' | 'has their first byte' | 'has not got them';

/**
 * A registry of somebody who knows the digests of another user's layers and wants their bytes: it serves an image
 * of these layers, and claims to have them.
 */
export class LyingRegistry {
  lie: Lie = 'has them';
  readonly #server = createServer((request, response) => {
    const { url = '', method } = request;
    const known = this.#documents.get(url.slice(url.lastIndexOf('/') + 1));
    if (known) {
      const digest = sha256(known.bytes);
      response.writeHead(200, {
        'content-type': known.type,
        'content-length': known.bytes.length,
        'docker-content-digest': digest,
      });
      response.end(method === 'HEAD' ? undefined : known.bytes);
      return;
    }
    const blob = this.coveted.find(({ digest }) => url.endsWith(digest));
    if (!blob || this.lie === 'has not got them') {
      response.writeHead(404).end('{"errors":[]}');
      return;
    }
    const isPart = request.headers.range !== undefined;
    const length = isPart && this.lie === 'has their first byte' ? 1 : blob.size;
    response.writeHead(isPart ? 206 : 200, {
      'content-type': 'application/octet-stream',
      'content-length': length,
      ...(isPart ? { 'content-range': `bytes 0-${length - 1}/${blob.size}` } : {}),
    });
    response.end(method === 'HEAD' ? undefined : Buffer.alloc(length));
  });
  readonly #documents = new Map<string, { type: string; bytes: Buffer }>();

  private constructor(
    private readonly coveted: readonly Coveted[],
    diffIds: readonly string[],
  ) {
    const config = Buffer.from(
      JSON.stringify({
        os: 'linux',
        architecture: process.arch === 'x64' ? 'amd64' : process.arch,
        rootfs: { type: 'layers', diff_ids: diffIds },
      }),
    );
    const manifestType = 'application/vnd.oci.image.manifest.v1+json';
    const configType = 'application/vnd.oci.image.config.v1+json';
    const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip';
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: manifestType,
        config: { mediaType: configType, digest: sha256(config), size: config.length },
        layers: coveted.map((blob) => ({ mediaType: layerType, ...blob })),
      }),
    );
    this.#documents.set(sha256(config), { type: configType, bytes: config });
    for (const name of ['1', sha256(manifest)])
      this.#documents.set(name, { type: manifestType, bytes: manifest });
  }

  static async start(coveted: readonly Coveted[], diffIds: readonly string[]): Promise<LyingRegistry> {
    const registry = new LyingRegistry(coveted, diffIds);
    await new Promise<void>((resolve) => registry.#server.listen(0, '127.0.0.1', resolve));
    return registry;
  }

  /** "localhost:40123", as it stands in a reference. */
  get host(): string {
    return `localhost:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
