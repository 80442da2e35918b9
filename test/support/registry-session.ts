import { RegistryClient, type RegistryClientOptions, type Waiting } from '../../wrapper/registry/client.js';
import type { Descriptor } from '../../wrapper/image/manifest.js';
import type { Reference } from '../../wrapper/image/reference.js';
import type { AskLogin, Login, RegistrySession } from '../../wrapper/registry/session.js';
import { Transfers } from '../../wrapper/registry/transfers.js';

/** Limits for tests that let things go wrong and would not wait for it. */
export const quickLimits: RegistryClientOptions['limits'] = {
  connectTimeoutMs: 1000,
  minimumBytesPerSecond: 1000,
  rateWindowMs: 300,
  retries: 3,
  firstPauseMs: 5,
  longestPauseMs: 50,
};

export const quickClient = (registries: RegistryClientOptions['registries']): RegistryClient =>
  new RegistryClient({ limits: quickLimits, registries });

/** The same for whole downloads; blobs of tests are too small to come in parts. */
export const transferLimits = {
  ...quickLimits,
  parallelLayers: 4,
  connections: 4,
  connectionsPerUser: 3,
  rangeBytes: 16 * 1024 * 1024,
  deadlineMs: 60_000,
};

/** A blob, as the store would get it. */
export const download = async (
  session: RegistrySession,
  reference: Reference,
  descriptor: Descriptor,
  waiting: Waiting,
): Promise<Buffer> => {
  const transfers = new Transfers(transferLimits, () => 0);
  const chunks: Buffer[] = [];
  for await (const chunk of transfers.bytes(session, 1000, reference, descriptor, waiting))
    chunks.push(chunk);
  return Buffer.concat(chunks);
};

/** What a user hears while waiting, without the sign that a wait is over. */
export const heardIn = (sentences: string[]): Waiting => ({
  signal: new AbortController().signal,
  onWait: (sentence) => {
    if (sentence !== '') sentences.push(sentence);
  },
});

export const login = (username: string, password: string, identityToken = ''): Login => ({
  username,
  password: Buffer.from(password),
  identityToken: Buffer.from(identityToken),
  source: '~/.docker/config.json',
  problem: '',
});

/** Has logins by registry, as often as it is asked, and notes who asked. */
export const askIn = (asked: string[], make: () => Login | undefined): AskLogin => {
  return (registry, repository) => {
    asked.push(`${registry} ${repository}`);
    return Promise.resolve(make());
  };
};
