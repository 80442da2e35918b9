import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { runContained } from '../contained.js';

const suite = 'trixie';

// Plain Node, as setup.mjs reads it before anything is compiled.
const { testPackages } = (await import(pathToFileURL('test/support/packages.mjs').href)) as {
  testPackages: Readonly<Record<string, string>>;
};

/** What is not among testPackages because each machine gets it in its own way. */
const packages = [...Object.keys(testPackages), 'nodejs', 'npm', 'libnode-dev', 'ca-certificates'];

// What no test reads.
const leftOut = ['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/locale/*', '/usr/share/info/*'];

const options = [
  '--quiet',
  '--mode=root',
  '--variant=minbase',
  '--aptopt=APT::Install-Recommends "false"',
  // It is thrown away if anything goes wrong.
  '--dpkgopt=force-unsafe-io',
  ...leftOut.map((path) => `--dpkgopt=path-exclude=${path}`),
  `--include=${packages.join(',')}`,
];

/**
 * The directory of a Debian 13 in which Stowage can be built and tested; made first, which takes minutes, if `cache` does
 * not hold it yet. Nothing but what is mounted over it may ever be changed.
 */
export const debianRoot = async (
  cache: string,
  say: (what: string) => void,
  signal: AbortSignal,
): Promise<string> => {
  const hash = createHash('sha256')
    .update(JSON.stringify([suite, options]))
    .digest('hex')
    .slice(0, 16);
  const root = `${cache}/root-${hash}`;
  if (existsSync(root)) return root;

  mkdirSync(cache, { recursive: true });
  for (const old of readdirSync(cache).filter((name) => /^root-\p{Hex_Digit}+$/u.test(name)))
    rmSync(`${cache}/${old}`, { recursive: true });
  say(
    `making a Debian 13 in ${root}, once; this downloads ${packages.length} packages and takes some minutes`,
  );
  const half = `${cache}/root-unfinished`;
  rmSync(half, { recursive: true, force: true });
  await runContained(['mmdebstrap', ...options, suite, half], { signal });
  renameSync(half, root);
  return root;
};
