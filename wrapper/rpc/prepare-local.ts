import type { Image } from '../image/image.js';
import { readLocalImage } from '../image/local-image.js';
import { type NodePlatform } from '../image/platform.js';
import { type ContainerPlan, planContainer } from '../plan/plan.js';
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
  request: Request,
): Promise<ContainerPlan> {
  const { files, notes, stopwatch } = request;
  const name = input.reference;
  const { format, selector, digest } = local;
  const image =
    format === 'root-file-system'
      ? rootFileSystem(digest, node)
      : await stopwatch.time('read', () => readLocalImage(format, selector, files, node, name));
  notes.digest = image.digest;
  refuseTooLarge(image, name, config.budget.maxBytes);
  return planContainer(name, image, input.host, new Uint8Array(), config);
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
