import { spawn } from 'node:child_process';
import { chownSync, closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { freePorts } from '../cluster/ports.js';
import { waitFor } from '../cluster/wait.js';
import { run } from '../support/oci-image.js';
import { ordinaryUser, type Command } from './command.js';
import type { BenchImage, BenchImages } from './image/bench-image.js';
import { freshDirectory } from './tree.js';

/** Fetches an image from a registry on this host, onto the disk, and unpacks it into `tree`. */
export type Fetch = (image: BenchImage, tree: string) => Command;

/** Starts docker-registry with its storage below `scratch`; it ends with this process. Returns its host:port. */
export const startRegistry = async (scratch: string, signal: AbortSignal): Promise<string> => {
  const [port] = await freePorts(1);
  const host = `127.0.0.1:${port ?? 0}`;
  const storage = `${scratch}/registry`;
  const config = `${scratch}/registry.json`;
  mkdirSync(storage);
  chownSync(storage, ordinaryUser.uid, ordinaryUser.gid);
  const settings = {
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: storage } },
    http: { addr: host },
  };
  // JSON is YAML.
  writeFileSync(config, JSON.stringify(settings));
  const log = openSync(`${scratch}/registry.log`, 'w');
  const child = spawn('docker-registry', ['serve', config], {
    ...ordinaryUser,
    stdio: ['ignore', log, log],
    signal,
  });
  closeSync(log);
  // It ends with this process, whose process namespace it is in.
  child.unref();
  child.on('error', () => undefined);
  const answers = () =>
    fetch(`http://${host}/v2/`).then(
      ({ ok }) => ok,
      () => false,
    );
  await waitFor(answers, { failure: 'docker-registry did not answer', timeoutMs: 20_000, signal });
  return host;
};

/** Where an ordinary user can run it, as the checkout may lie in a directory that only its owner may enter. */
export const installed = async (scratch: string, signal: AbortSignal): Promise<string> => {
  const prefix = `${scratch}/usr`;
  await run(process.execPath, ['wrapper/install.mjs', prefix], signal);
  return prefix;
};

/** Starts docker-registry, fills it with the images, and installs the `stowage` that is to fetch from it. */
export const prepareRegistry = async (
  scratch: string,
  images: BenchImages,
  signal: AbortSignal,
): Promise<Fetch> => {
  const host = await startRegistry(scratch, signal);
  const reference = ({ tag }: BenchImage) => `docker://${host}/bench:${tag}`;
  const quietly = ['--insecure-policy', '--quiet', '--dest-tls-verify=false'];
  for (const image of images.images) {
    const source = `oci:${images.directory}:${image.tag}`;
    await run('skopeo', ['copy', ...quietly, source, reference(image)], signal);
  }
  const prefix = await installed(scratch, signal);
  const config = `${scratch}/stowage.toml`;
  writeFileSync(config, `[registries]\n"${host}" = { http = true }\n`);
  const store = `${scratch}/store`;
  return (image, tree) => ({
    argv: [
      `${prefix}/bin/stowage`,
      ...['unpack', '--quiet', '--config', config],
      reference(image),
      `${freshDirectory(tree)}/image`,
    ],
    env: { HOME: tree, XDG_CACHE_HOME: freshDirectory(store) },
  });
};
