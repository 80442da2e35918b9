import { parseArguments } from './arguments.js';
import type { Command } from './command.js';
import { daemonOptions, daemonSocket, daemonUsage } from './daemon-options.js';
import type { Surroundings } from './surroundings.js';
import { UsageError } from './usage-error.js';

const usage = `usage: stowage status [OPTION...]

Says how the stowaged of this node is doing: its store, and what it is bringing here for you. Exit status 1 if there is none.

  --json           print one JSON object, whose members stowage(1) explains
${daemonUsage}`;

async function run(args: readonly string[], surroundings: Surroundings): Promise<void> {
  const { options, operands } = parseArguments(args, { json: 'flag', ...daemonOptions });
  if (operands.length > 0)
    throw new UsageError('status wants no arguments; "stowage status --help" says more');
  const socket = daemonSocket(options, surroundings);
  const { DaemonClient } = await import('./daemon-client.js');
  const { describeStatus, readStatus } = await import('./node-status.js');
  const daemon = await DaemonClient.connect(socket, surroundings.signal);
  try {
    const report = readStatus(await daemon.status(), socket);
    surroundings.stdout.write(
      options.json ? `${JSON.stringify(report, null, 2)}\n` : describeStatus(report, Date.now()),
    );
  } finally {
    daemon.close();
  }
}

export const status: Command = {
  name: 'status',
  summary: 'say how the daemon of this node is doing',
  usage,
  run,
};
