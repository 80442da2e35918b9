import { readFileSync } from 'node:fs';

interface Descriptor {
  readonly digest: string;
  readonly size: number;
}

/** One layer of an image in an OCI layout, compressed as it lies there. */
export interface LayoutLayer {
  readonly blob: Buffer;
  readonly digest: string;
  readonly diffId: string;
}

/** The layers of the only image in an OCI layout, the lowest first. */
export const layoutLayers = (directory: string): LayoutLayer[] => {
  const read = (name: string): Buffer => readFileSync(`${directory}/${name}`);
  const blob = ({ digest }: Descriptor): Buffer => read(`blobs/${digest.replace(':', '/')}`);
  const parse = (bytes: Buffer): unknown => JSON.parse(bytes.toString());
  const index = parse(read('index.json')) as { manifests: [Descriptor] };
  const manifest = parse(blob(index.manifests[0])) as { config: Descriptor; layers: Descriptor[] };
  const config = parse(blob(manifest.config)) as { rootfs: { diff_ids: string[] } };
  return manifest.layers.map((layer, i) => ({
    blob: blob(layer),
    digest: layer.digest,
    diffId: config.rootfs.diff_ids[i] ?? '',
  }));
};
