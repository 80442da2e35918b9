/** Containers that stowage-enter builds when a stand-in for stowaged hands out a plan. */
import fs from 'node:fs';

import type { PrepareRequestMessage, PrepareResponseMessage } from '../../wrapper/rpc/definitions.js';
import { type Container, eachInEnterSandbox, type EnterOptions, type EnterSandbox } from './enter-sandbox.js';
import { listenGrpc, welcome } from './fake-daemon.js';

export type Plan = NonNullable<PrepareResponseMessage['plan']>;
type Build = (root: string) => void;

export class Planned {
  /** A host directory of the user, with one file. */
  readonly data: string;
  /** Of the last call. */
  request: PrepareRequestMessage | undefined;

  constructor(readonly sandbox: EnterSandbox) {
    this.data = `${sandbox.directory}/data`;
    fs.mkdirSync(this.data);
    fs.writeFileSync(`${this.data}/file`, 'of the host');
    sandbox.giveToUser(this.data);
  }

  /** Makes an image and serves the plan for it. Returns its tree. */
  async serve(plan: Plan, build?: Build): Promise<string> {
    const { sandbox } = this;
    const imageDigest = sandbox.makeTree(build);
    await sandbox.serve(
      listenGrpc(sandbox.socket, (call) => {
        this.request = call.request;
        call.write(welcome);
        call.write({ plan: { imageDigest, workingDirectory: '/', ...plan } });
        call.end();
      }),
    );
    return `${sandbox.store}/${imageDigest.replace(':', '-')}`;
  }

  async succeed(plan: Plan, build?: Build, options?: EnterOptions): Promise<Container> {
    await this.serve(plan, build);
    return this.sandbox.succeed(options);
  }

  async fail(sentence: string | RegExp, plan: Plan, build?: Build): Promise<void> {
    await this.serve(plan, build);
    // Mount points stay for the next step.
    fs.mkdirSync(`${this.sandbox.store}/${this.sandbox.kept()[0] ?? ''}.mount`);
    await this.sandbox.fail(sentence);
  }
}

/** Gives each test of the present suite one, in a sandbox of its own. */
export function eachPlanned(): () => Planned {
  const sandbox = eachInEnterSandbox();
  let planned: Planned | undefined;
  beforeEach(() => {
    planned = new Planned(sandbox());
  });
  return () => planned ?? new Planned(sandbox());
}
