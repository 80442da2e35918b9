import { StowageError } from '../error.js';
import type { Image } from '../image/image.js';

/** Throws `image-too-large` if the layers already are, compressed. `name` is for the message. */
export function refuseTooLarge(image: Image, name: string, maxBytes: number): void {
  const bytes = image.layers.reduce((sum, { size }) => sum + size, 0);
  if (bytes <= maxBytes) return;
  throw new StowageError(
    'image-too-large',
    `image ${name} has ${bytes} bytes compressed, and this site allows ${maxBytes} unpacked; use a smaller image, ` +
      'or ask the administrators to raise budget.max_bytes',
  );
}
