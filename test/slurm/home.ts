import assert from 'node:assert/strict';
import { chownSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { account } from '../cluster/users.js';

/** What tests leave in the home directory of a user, to be taken away again. */
export class Home {
  readonly directory: string;
  readonly #made: string[] = [];

  constructor(private readonly user: string) {
    this.directory = account(user).home;
  }

  /** Makes directories on the way; refuses to replace a file that is not of this test. */
  write(name: string, content: string | object, mode = 0o600): string {
    const path = join(this.directory, name);
    assert.ok(this.#made.includes(path) || !existsSync(path), `${path} is somebody's`);
    this.#makeParents(path);
    const text = typeof content === 'string' ? content : JSON.stringify(content);
    writeFileSync(path, text, { mode });
    this.#own(path);
    return path;
  }

  remove(name: string): void {
    rmSync(join(this.directory, name), { force: true });
  }

  clear(): void {
    for (const path of this.#made.splice(0).reverse()) rmSync(path, { recursive: true, force: true });
  }

  #makeParents(path: string): void {
    const parent = dirname(path);
    if (existsSync(parent)) return;
    this.#makeParents(parent);
    mkdirSync(parent, { mode: 0o700 });
    this.#own(parent);
  }

  #own(path: string): void {
    const { uid, gid } = account(this.user);
    chownSync(path, uid, gid);
    if (!this.#made.includes(path)) this.#made.push(path);
  }
}
