import { quote } from '../image/quote.js';
import { parseSource } from '../image/source.js';
import { parseArguments, parseChoice } from './arguments.js';
import type { Command } from './command.js';
import { CommandError } from './command-error.js';
import type { DaemonClient } from './daemon-client.js';
import { daemonOptions, daemonSocket, daemonUsage } from './daemon-options.js';
import { ProgressLine } from './progress-line.js';
import type { Surroundings } from './surroundings.js';
import { UsageError } from './usage-error.js';

const usage = `usage: stowage pull [OPTION...] REF...

Brings images of registries onto this node, so that the next job has them here, and prints their digests.
Logins are taken from where docker and podman keep them.

  --pull POLICY    missing: what is not here is downloaded; always: the registry is asked what REF stands for;
                   never: only say what is here. Default: what the site says
  --quiet          say nothing on standard error but errors
${daemonUsage}`;

const policies = ['missing', 'always', 'never'] as const;
type Policy = (typeof policies)[number];

async function run(args: readonly string[], surroundings: Surroundings): Promise<void> {
  const { options, operands } = parseArguments(args, { pull: 'value', quiet: 'flag', ...daemonOptions });
  if (operands.length === 0) {
    throw new UsageError('pull wants the name of an image; "stowage pull --help" says more');
  }
  const policy = options.pull === undefined ? undefined : parseChoice('--pull', options.pull, policies);
  operands.forEach(refuseFile);
  const progress = new ProgressLine(surroundings.stderr, options.quiet ?? false);
  const { DaemonClient } = await import('./daemon-client.js');
  const daemon = await DaemonClient.connect(daemonSocket(options, surroundings), surroundings.signal);
  try {
    for (const reference of operands) await pullOne(daemon, reference, policy, progress, surroundings);
  } finally {
    progress.clear();
    daemon.close();
  }
}

/** What is in a user's own files no daemon keeps. */
function refuseFile(text: string): void {
  if (parseSource(text).kind === 'registry') return;
  throw new CommandError(
    `${quote(text)} is in your own files, which are read where they are; only images of registries are pulled`,
  );
}

async function pullOne(
  daemon: DaemonClient,
  reference: string,
  policy: Policy | undefined,
  progress: ProgressLine,
  surroundings: Surroundings,
): Promise<void> {
  const { ProgressPhase, RequestedPull } = await import('../rpc/definitions.js');
  const numbers = {
    missing: RequestedPull.PULL_POLICY_MISSING,
    always: RequestedPull.PULL_POLICY_ALWAYS,
    never: RequestedPull.PULL_POLICY_NEVER,
  };
  const plan = await daemon.pull(
    { reference, pull: policy === undefined ? RequestedPull.PULL_POLICY_UNSPECIFIED : numbers[policy] },
    {
      onProgress: ({ phase, detail, imageDoneBytes, imageTotalBytes }) => {
        if (phase === ProgressPhase.PHASE_WAITING) progress.waiting(detail ?? '');
        if (phase !== ProgressPhase.PHASE_DOWNLOADING) return;
        progress.bytes(`downloading ${reference}`, Number(imageDoneBytes ?? 0), Number(imageTotalBytes ?? 0));
      },
      askLogin: async (registry, repository) => {
        const { askLogin } = await import('./login.js');
        return askLogin(registry, repository, surroundings, (remark) => progress.say(remark));
      },
    },
  );
  if (plan.notice) progress.say(plan.notice);
  progress.say(`${plan.canonicalReference ?? reference} is on this node`);
  surroundings.stdout.write(`${plan.imageDigest ?? ''}\n`);
}

export const pull: Command = {
  name: 'pull',
  summary: 'bring images onto this node',
  usage,
  run,
};
