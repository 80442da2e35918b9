import { posix } from 'node:path';

import type { Image } from '../image/image.js';
import { readLocalImage } from '../image/local-image.js';
import { type NodePlatform } from '../image/platform.js';
import type { LocalSource } from '../image/source.js';
import type { HostDirectories } from '../plan/mounts.js';
import { type ContainerPlan, planContainer } from '../plan/plan.js';
import type { Wishes } from '../plan/wishes.js';
import { refuseDenied } from '../policy/allowed.js';
import { refuseTooLarge } from '../policy/size.js';
import type { LocalInput, PrepareInput } from './request.js';
import type { Request, Workshop } from './workshop.js';

/**
 * The path of an image in the caller's own files. It is short, as the caller opens and unpacks them: nothing
 * of them is kept here, or shown to anybody else.
 */
export async function prepareLocal(
  { config, node }: Workshop,
  input: PrepareInput,
  local: LocalInput,
  wishes: Wishes,
  source: LocalSource,
  request: Request,
): Promise<ContainerPlan> {
  const { files, notes, stopwatch } = request;
  const name = input.reference;
  refuseDenied(config.policy, absolutePath(source, input.host));
  const { format, selector, digest } = local;
  const image =
    format === 'root-file-system'
      ? rootFileSystem(digest, node)
      : await stopwatch.time('read', () => readLocalImage(format, selector, files, node, name));
  notes.digest = image.digest;
  refuseTooLarge(image, name, config.budget.maxBytes);
  return planContainer(name, image, wishes, new Uint8Array(), config);
}

/**
 * What the site's patterns are held against. A relative path starts where `--image` was written, which is where the
 * job was submitted, as a rule; that it is not is no secret worth keeping, see refuseDenied.
 */
function absolutePath({ path }: LocalSource, { home, working }: HostDirectories): string {
  return path.startsWith('~/') ? posix.join(home, path.slice(1)) : posix.resolve('/', working, path);
}

/** An image of which nothing is known but that it is to run here. */
function rootFileSystem(digest: string, { os, architecture }: NodePlatform): Image {
  return {
    digest,
    layers: [],
    config: {
      platform: { os, architecture },
      user: '',
      workingDirectory: '',
      entrypoint: [],
      command: [],
      environment: [],
      diffIds: [],
    },
  };
}
