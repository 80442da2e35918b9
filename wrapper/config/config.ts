import type { HttpLimits } from '../registry/http.js';
import type { RetryLimits } from '../registry/patience.js';

/** The daemon's configuration with every default filled in. stowage.toml has the same shape in snake_case. */
export interface Config {
  /** single-user: only the daemon's own uid may call, and the sockets belong to it alone. */
  mode: 'service' | 'single-user';
  listen: { socket: string; blobSocket: string };
  store: { directory: string };
  /** How long an answer of a registry about a tag may be used again by the same user. */
  resolve: { ttlMs: number };
  download: HttpLimits & RetryLimits & { parallelLayers: number };
  /** What one unpacking of an image may use. */
  budget: { maxBytes: number; maxInodes: number; maxSeconds: number; maxDepth: number };
  image: { squashfs: 'unpack' | 'mount' };
  registries: Record<string, { http?: boolean }>;
  /** Host directories and files that every container of this site shows. */
  mounts: SiteMount[];
}

export interface SiteMount {
  source: string;
  target: string;
  readOnly: boolean;
  optional: boolean;
}
