import { execFile } from 'node:child_process';
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { addon } from '../../wrapper/addon/addon.js';
import { waitFor } from '../cluster/wait.js';

const exec = promisify(execFile);

/** An image as an OCI layout on disk. */
export interface OciImage {
  readonly name: string;
  readonly directory: string;
}

/** How to make one. Whatever decides the content must stand in `recipe`: its hash names the cached result. */
export interface ImageRecipe {
  readonly name: string;
  /** The image that it starts from: its layers stay as they are, and so does its configuration but for `config`. */
  readonly from?: ImageRecipe;
  readonly recipe: readonly string[];
  /** Arguments of `umoci config`. */
  readonly config: readonly string[];
  /** Each fills in or changes the root and becomes a layer. */
  readonly layers: readonly ((root: string, signal?: AbortSignal) => Promise<void>)[];
}

export const run = async (
  program: string,
  args: readonly string[],
  signal?: AbortSignal,
): Promise<string> => {
  try {
    return (await exec(program, args, { signal, maxBuffer: 64 << 20 })).stdout;
  } catch (cause) {
    signal?.throwIfAborted();
    const { stderr = '' } = cause as { stderr?: string };
    const end = stderr.trimEnd().split('\n').slice(-15).join('\n');
    throw new Error(`${program} ${args[0] ?? ''} failed:\n${end}`, { cause });
  }
};

const cache = resolve('build/images');
const tag = 'image';

/** As long as the slowest image may take, and some more. */
const lockTimeoutMs = 30 * 60_000;

const hashOf = ({ from, recipe, config }: ImageRecipe): string =>
  createHash('sha256')
    .update(JSON.stringify([from && hashOf(from), recipe, config]))
    .digest('hex')
    .slice(0, 16);

/** Runs `action` while no other process, and nobody else in this one, does so with the same lock. */
const locked = async (
  lock: string,
  action: () => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<void> => {
  const fd = openSync(lock, 'w');
  try {
    await waitFor(() => addon.lockFile(fd, true), {
      failure: `whoever holds ${lock} did not let go of it`,
      timeoutMs: lockTimeoutMs,
      signal,
    });
    await action();
  } finally {
    // And with it the lock, as it is with a process that is killed.
    closeSync(fd);
  }
};

/** Also what a process left that was killed. */
const removeWork = async (work: string): Promise<void> => {
  const memory = statSync(`${work}/memory`, { throwIfNoEntry: false });
  if (memory && memory.dev !== statSync(work).dev) await run('umount', ['--lazy', `${work}/memory`]);
  rmSync(work, { recursive: true, force: true });
};

/** Makes the image in `work`, which is empty, and moves it to `directory`. */
const fillIn = async (
  { from, config, layers }: ImageRecipe,
  work: string,
  directory: string,
  signal: AbortSignal | undefined,
): Promise<void> => {
  const layout = `${work}/layout`;
  const image = `${layout}:${tag}`;
  // Thousands of files that are soon removed: a disk spends more time on them than the rest takes.
  const bundle = `${work}/memory/bundle`;
  mkdirSync(`${work}/memory`);
  await run('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', `${work}/memory`], signal);
  if (from) {
    cpSync((await makeImage(from, signal)).directory, layout, { recursive: true });
  } else {
    await run('umoci', ['init', '--layout', layout], signal);
    await run('umoci', ['new', '--image', image], signal);
  }
  await run('umoci', ['unpack', '--image', image, bundle], signal);
  for (const [index, layer] of layers.entries()) {
    await layer(`${bundle}/rootfs`, signal);
    const refresh = index + 1 < layers.length ? ['--refresh-bundle'] : [];
    await run('umoci', ['repack', ...refresh, '--image', image, bundle], signal);
  }
  await run('umoci', ['config', '--image', image, ...config], signal);
  await run('umoci', ['gc', '--layout', layout], signal);
  renameSync(layout, directory);
};

/** The image from the cache, or made anew, which is then what the cache holds. */
export const makeImage = async (image: ImageRecipe, signal?: AbortSignal): Promise<OciImage> => {
  const { name } = image;
  const hash = hashOf(image);
  const directory = `${cache}/${name}-${hash}`;
  if (existsSync(directory)) return { name, directory };

  mkdirSync(cache, { recursive: true });
  const make = async (): Promise<void> => {
    if (existsSync(directory)) return;
    const work = `${cache}/.${name}`;
    await removeWork(work);
    mkdirSync(work);
    try {
      await fillIn(image, work, directory, signal);
    } finally {
      await removeWork(work);
    }
    // What an older recipe made is of no use any more.
    const ofThisName = new RegExp(`^${name}-[0-9a-f]{${hash.length}}$`);
    for (const entry of readdirSync(cache).filter((found) => ofThisName.test(found)))
      if (entry !== `${name}-${hash}`) rmSync(`${cache}/${entry}`, { recursive: true });
  };
  await locked(`${cache}/.${name}.lock`, make, signal);
  return { name, directory };
};

/** Pushes to a registry without TLS such as the cluster's own; returns the reference. */
export const pushImage = async (
  { name, directory }: OciImage,
  registryHost: string,
  repository = `${name}:latest`,
  signal?: AbortSignal,
): Promise<string> => {
  const reference = `${registryHost}/${repository}`;
  const options = ['--insecure-policy', '--quiet', '--dest-tls-verify=false'];
  await run('skopeo', ['copy', ...options, `oci:${directory}:${tag}`, `docker://${reference}`], signal);
  return reference;
};
