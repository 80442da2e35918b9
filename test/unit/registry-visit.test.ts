import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

import { StowageError } from '../../wrapper/error.js';
import { parseReference } from '../../wrapper/image/reference.js';
import { Admission } from '../../wrapper/policy/admission.js';
import type { AskLogin, Waiting } from '../../wrapper/registry/session.js';
import { RegistryVisit } from '../../wrapper/rpc/registry-visit.js';
import type { Request, Workshop } from '../../wrapper/rpc/workshop.js';
import { isCode } from '../support/is-code.js';

const reference = parseReference('quay.io/team/app:1');

describe('RegistryVisit', () => {
  let admission: Admission;
  let prefetchAdmission: Admission;
  let sessions: { ask: AskLogin; isClosed: boolean }[];
  let gone: AbortController;
  let loginMs: number;
  const visit = (forbidden?: StowageError, deadlineMs = 60_000): RegistryVisit => {
    const workshop = {
      config: { download: { deadlineMs } },
      admission,
      prefetchAdmission,
      registry: {
        session: (ask: AskLogin) => {
          const session = { ask, isClosed: false };
          sessions.push(session);
          return { close: () => (session.isClosed = true) };
        },
      },
    } as unknown as Workshop;
    const request = {
      callerUid: 1000,
      signal: gone.signal,
      askLogin: () => sleep(loginMs, undefined),
      progress: { waiting: () => undefined },
      notes: {},
    } as unknown as Request;
    return new RegistryVisit(workshop, reference, request, forbidden);
  };
  /** What a registry does that never answers. */
  const stall = (_: unknown, { signal }: Waiting) =>
    new Promise<never>((__, reject) =>
      signal.addEventListener('abort', () => reject(new Error('broken off')), { once: true }),
    );

  beforeEach(() => {
    admission = new Admission({ requests: 1, requestsPerUser: 1 });
    prefetchAdmission = new Admission({ requests: 1, requestsPerUser: 1 });
    sessions = [];
    gone = new AbortController();
    loginMs = 0;
  });

  it('takes one turn and one session for all that is asked, and gives both back', async () => {
    const visiting = visit();
    assert.equal(await visiting.ask(() => Promise.resolve(1)), 1);
    await assert.rejects(
      visiting.ask(() => Promise.reject(new Error('no'))),
      /no/,
    );
    assert.deepEqual([sessions.length, admission.counts.running], [1, 1]);
    await visiting.end();
    assert.deepEqual([sessions[0]?.isClosed, admission.counts.running], [true, 0]);
  });

  it('is nothing to somebody who asks nothing', async () => {
    await visit().end();
    assert.deepEqual(sessions, []);
  });

  it('asks nobody if that is forbidden', async () => {
    const forbidden = new StowageError('not-on-node', 'not here');
    await assert.rejects(visit(forbidden).ask(stall), /not here/);
    assert.deepEqual(sessions, []);
  });

  it('loses patience where there is something to fall back on', async () => {
    const visiting = visit();
    await assert.rejects(
      visiting.ask(stall, 20),
      isCode(
        'registry-unreachable',
        /^registry quay\.io cannot be reached: it gave no useful answer within 0\.02 s;/,
      ),
    );
    assert.equal(await visiting.ask(() => Promise.resolve(1)), 1);
    await visiting.end();
  });

  it('does not count the time that the caller takes for a login', async () => {
    loginMs = 300;
    const visiting = visit();
    const work = async (): Promise<string> => {
      await sessions[0]?.ask('quay.io', 'team/app');
      return 'answered';
    };
    assert.equal(await visiting.ask(work, 150), 'answered');
    await visiting.end();
  });

  it('gives up when the time for one image is over', async () => {
    const visiting = visit(undefined, 20);
    await assert.rejects(
      visiting.ask(stall),
      isCode('registry-failing', /within 0\.02 s, the most that this site/),
    );
    await visiting.end();
  });

  it('ends with the reason of a caller who goes away, also before the first turn', async () => {
    const leave = await admission.enter(1001, new AbortController().signal, () => undefined);
    const visiting = visit();
    const asking = visiting.ask(stall);
    gone.abort(new Error('gone'));
    await assert.rejects(asking, /gone/);
    await visiting.end();
    leave();
    assert.deepEqual([sessions, admission.counts], [[], { running: 0, waiting: 0 }]);
  });
});
