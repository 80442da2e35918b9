import type { NodePlatform } from './platform.js';

/** The documents of an image that is in files of a user's. */
export interface LocalFiles {
  /**
   * The file `name` as a whole: a path inside the layout or archive, never absolute, without "..". Throws a
   * StowageError that says why there is nothing, also if the file is longer than `maxBytes`.
   */
  read(name: string, maxBytes: number): Promise<Uint8Array>;
}

/** What it takes to read one image out of files that may hold several. */
export interface LocalRequest {
  /** A tag, or a name as in docker's RepoTags; "" if there is one image only. */
  selector: string;
  files: LocalFiles;
  node: NodePlatform;
  /** How messages name the image. */
  name: string;
}
