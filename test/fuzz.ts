import { buildTargets, fuzz, targets, type FuzzOptions } from './support/fuzzing.js';

const usage = `usage: npm run fuzz -- TARGET [SECONDS | FILE | --merge]

Runs a fuzz target of the unpacker for 60 or that many seconds, on one input, or adds to the corpus in the repository
what earlier runs found. TARGET is one of: ${targets.join(', ')}`;

const optionsOf = (what = '60'): FuzzOptions => {
  if (what === '--merge') return { merge: true };
  return /^\d+$/.test(what) ? { seconds: Number(what) } : { input: what };
};

const [target, what] = process.argv.slice(2);
if (target === undefined || !targets.includes(target)) {
  console.error(usage);
  process.exitCode = 2;
} else {
  buildTargets();
  const onOutput = (text: string): unknown => process.stderr.write(text);
  const { status, findings } = await fuzz(target, { ...optionsOf(what), onOutput });
  for (const finding of findings)
    console.log(`found: ${finding}; again with: npm run fuzz -- ${target} ${finding}`);
  process.exitCode = status === 0 ? 0 : 1;
}
