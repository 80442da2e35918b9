import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { promisify } from 'node:util';

const exec = promisify(execFile);

/** An image as an OCI layout on disk. */
export interface OciImage {
  readonly name: string;
  readonly directory: string;
}

/** How to make one. Whatever decides the content must stand in `recipe`: its hash names the cached result. */
export interface ImageRecipe {
  readonly name: string;
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

/** The image from the cache, or made anew, which is then what the cache holds. */
export const makeImage = async (
  { name, recipe, config, layers }: ImageRecipe,
  signal?: AbortSignal,
): Promise<OciImage> => {
  const hash = createHash('sha256')
    .update(JSON.stringify([recipe, config]))
    .digest('hex')
    .slice(0, 16);
  const directory = `${cache}/${name}-${hash}`;
  if (existsSync(directory)) return { name, directory };

  const work = `${cache}/.${name}-${process.pid}`;
  const image = `${work}/layout:${tag}`;
  const bundle = `${work}/bundle`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  try {
    await run('umoci', ['init', '--layout', `${work}/layout`], signal);
    await run('umoci', ['new', '--image', image], signal);
    await run('umoci', ['unpack', '--image', image, bundle], signal);
    for (const layer of layers) {
      await layer(`${bundle}/rootfs`, signal);
      await run('umoci', ['repack', '--refresh-bundle', '--image', image, bundle], signal);
    }
    await run('umoci', ['config', '--image', image, ...config], signal);
    await run('umoci', ['gc', '--layout', `${work}/layout`], signal);
    // What an older recipe made is of no use any more.
    for (const old of readdirSync(cache).filter((entry) => entry.startsWith(`${name}-`))) {
      rmSync(`${cache}/${old}`, { recursive: true });
    }
    renameSync(`${work}/layout`, directory);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
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
