import { readDockerArchive } from './docker-archive.js';
import type { Image } from './image.js';
import type { LocalFiles } from './local-files.js';
import { readOciLayout } from './oci-layout.js';
import type { NodePlatform } from './platform.js';

export type { LocalFiles } from './local-files.js';

/** "oci-layout" is a directory or an archive; what it is packed in makes no difference here. */
export type LocalFormat = 'oci-layout' | 'docker-archive';

const readers = { 'oci-layout': readOciLayout, 'docker-archive': readDockerArchive };

/**
 * Reads an image that somebody saved into files, for this node's platform. `selector` says which of several
 * images: a tag, or a name as in docker's RepoTags; "" if there is one only. `name` names the image in
 * messages. Throws `image-not-found`, `image-malformed`, `image-unsupported` or `platform-not-found`, and
 * whatever `files` throws.
 */
export function readLocalImage(
  format: LocalFormat,
  selector: string,
  files: LocalFiles,
  node: NodePlatform,
  name: string,
): Promise<Image> {
  return readers[format]({ selector, files, node, name });
}
