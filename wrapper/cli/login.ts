import { spawn } from 'node:child_process';

import { Ajv } from 'ajv';

import { reasonOf } from '../error.js';
import type { Login } from '../registry/session.js';
import { findEnter } from './programs.js';
import type { Surroundings } from './surroundings.js';

/** What `stowage-enter --login` prints, spank-plugin/enter/. Secrets are in base64. */
interface Answer {
  username: string;
  password: string;
  identity_token: string;
  source: string;
  problem: string;
}

const text = { type: 'string', maxLength: 1_000_000 } as const;
const answerSchema = {
  type: 'object',
  required: ['username', 'password', 'identity_token', 'source', 'problem'],
  properties: { username: text, password: text, identity_token: text, source: text, problem: text },
} as const;

const mostBytes = 4 * 1024 * 1024;
/** What a daemon that asked waits at most. */
const patienceMs = 25_000;

/**
 * The user's login for a registry, from where docker and podman keep logins; undefined if there is none. One
 * program alone knows these places and runs the helpers that they name: stowage-enter. What it has to remark,
 * such as that everybody can read a password, goes to `onRemark`. Throws nothing but the signal's reason: why
 * there is no login is told when the registry refuses.
 */
export async function askLogin(
  registry: string,
  repository: string,
  { env, cwd, signal }: Surroundings,
  onRemark: (sentence: string) => void,
): Promise<Login | undefined> {
  signal.throwIfAborted();
  let login: Login;
  try {
    const { printed, remarks } = await run(findEnter(env), registry, repository, { env, cwd, signal });
    login = readAnswer(printed);
    remarks.forEach(onRemark);
  } catch (error) {
    signal.throwIfAborted();
    login = {
      ...{ username: '', password: Buffer.alloc(0), identityToken: Buffer.alloc(0), source: '' },
      problem: `logins cannot be looked up: ${reasonOf(error)}`,
    };
  }
  const { username, identityToken, problem } = login;
  return username === '' && identityToken.length === 0 && problem === '' ? undefined : login;
}

function readAnswer(bytes: Buffer): Login {
  let answer: unknown;
  try {
    answer = JSON.parse(bytes.toString('utf8'));
  } catch {
    // What it says may be secret, so that no message repeats it.
  } finally {
    bytes.fill(0);
  }
  if (!new Ajv().validate<Answer>(answerSchema, answer)) {
    throw new Error('stowage-enter said what stowage does not understand; install both from one release');
  }
  const { username, password, identity_token: token, source, problem } = answer;
  return {
    ...{ username, source, problem },
    password: Buffer.from(password, 'base64'),
    identityToken: Buffer.from(token, 'base64'),
  };
}

/** Runs the program. Throws with the last that it said if it failed. */
function run(
  program: string,
  registry: string,
  repository: string,
  { env, cwd, signal }: Pick<Surroundings, 'env' | 'cwd' | 'signal'>,
): Promise<{ printed: Buffer; remarks: string[] }> {
  const child = spawn(program, ['--login', registry, '--repository', repository], {
    env,
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]),
  });
  const printed: Buffer[] = [];
  let printedBytes = 0;
  let words = '';
  child.stdout.on('data', (chunk: Buffer) => {
    printedBytes += chunk.length;
    if (printedBytes > mostBytes) child.kill('SIGKILL');
    else printed.push(chunk);
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (words = (words + chunk).slice(0, 1000)));
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      const isOver = error.name === 'AbortError' && !signal.aborted;
      reject(isOver ? new Error(`stowage-enter took more than ${patienceMs / 1000} s`) : error);
    });
    child.once('close', (status, endedBy) => {
      const said = words.split('\n').map((line) => line.replace(/^stowage: /, ''));
      const remarks = said.filter((line) => line !== '');
      if (status === 0) return resolve({ printed: Buffer.concat(printed), remarks });
      reject(new Error(remarks.at(-1) ?? `stowage-enter ended with ${endedBy ?? `status ${status}`}`));
    });
  });
}
