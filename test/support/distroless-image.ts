import { copyFileSync, readFileSync } from 'node:fs';
import { makeImage, type OciImage } from './oci-image.js';

const busybox = '/bin/busybox';

/** One static program, /busybox, and nothing else: no shell, no /bin, no /etc. */
export const distrolessImage = (signal?: AbortSignal): Promise<OciImage> =>
  makeImage(
    {
      name: 'distroless',
      recipe: [readFileSync(busybox).toString('base64')],
      config: ['--config.entrypoint=/busybox'],
      layers: [async (root) => copyFileSync(busybox, `${root}/busybox`)],
    },
    signal,
  );
