#!/usr/bin/env node
import { homedir } from 'node:os';

import { runCommandLine } from './cli/command-line.js';
import { Interruption } from './cli/interruption.js';

const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => interrupted.abort(new Interruption(name)));
}

// Whoever reads may have seen enough, as in "stowage inspect X | head -1"; the work goes on to its end.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

process.exitCode = await runCommandLine(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  home: homedir(),
  uid: process.getuid?.() ?? -1,
  stdout: process.stdout,
  stderr: process.stderr,
  signal: interrupted.signal,
});
