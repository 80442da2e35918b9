import { readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { systemErrorCode } from '../error.js';

/** random(4): another one after each start of the kernel. */
const bootId = '/proc/sys/kernel/random/boot_id';

/** Which start of the machine a store was last used in: DIRECTORY/boot. */
export class BootRecord {
  readonly #path: string;

  constructor(directory: string) {
    this.#path = join(directory, 'boot');
  }

  /** Whether the machine has not stopped since. What was written meanwhile is what programs see, on the disk or not. */
  isThisBoot(): boolean {
    return thisBoot() !== '' && textOf(this.#path) === thisBoot();
  }

  /** Throws the system's error. */
  async note(): Promise<void> {
    await writeFile(`${this.#path}.new`, thisBoot(), { mode: 0o600 });
    await rename(`${this.#path}.new`, this.#path);
  }
}

/** Empty where the kernel does not show it: each start then counts as another one. */
function thisBoot(): string {
  return textOf(bootId).trim();
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    return '';
  }
}
