/**
 * A command line that submits a batch job with these arguments and ends when the job does, with its exit code. `sbatch
 * --wait` would look only every ten seconds. Of several tasks or components, the code is the highest.
 */
export const batch = (args: string, script?: string): string => {
  const input = script === undefined ? '' : ` <<'END'\n${script}\nEND\n`;
  const ended = 'while squeue -h -j $job 2>/dev/null | grep -q .; do sleep 0.1; done';
  const code = `scontrol show job $job | sed -n 's/.* ExitCode=\\([0-9]*\\):.*/\\1/p' | sort -n | tail -n 1`;
  return `(job=$(sbatch --parsable ${args}${input}) && ${ended} && exit $(${code}))`;
};
