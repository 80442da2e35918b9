import assert from 'node:assert/strict';

import type { Image } from '../../wrapper/image/image.js';
import { parseReference } from '../../wrapper/image/reference.js';
import { type Answer, Resolutions } from '../../wrapper/store/resolutions.js';

const tag = parseReference('ubuntu:24.04');
const pinned = parseReference(`ubuntu@sha256:${'a'.repeat(64)}`);
const of = (digest: string) => ({ digest, mediaType: undefined });
const image = { digest: 'sha256:image', layers: [] } as unknown as Image;
const ttlMs = 300_000;

describe('Resolutions', () => {
  const user = { uid: 1000, jobId: 0 };
  const job = (jobId: number) => ({ uid: 1000, jobId });
  let now = 0;
  let known: Map<string, Answer>;
  let resolutions: Resolutions;
  const open = () =>
    new Resolutions(
      {
        find: (uid, canonical) => known.get(`${uid} ${canonical}`),
        resolved: (uid, { canonical }, resolution, resolvedAtMs) =>
          void known.set(`${uid} ${canonical}`, { ...resolution, resolvedAtMs }),
        used: () => undefined,
      },
      () => now,
    );
  const kept = (answer: Answer, isAsked = true) => ({ ...answer, isAsked, notice: '' });
  beforeEach(() => {
    now = 1e12;
    known = new Map();
    resolutions = open();
  });

  it("never lets one user use another's answer", () => {
    const answer = resolutions.answered(job(7), pinned, of('sha256:a'));
    resolutions.keepForJob(job(7), pinned, kept(answer));
    resolutions.used(job(7), pinned, answer, image);
    const other = { uid: 1001, jobId: 7 };
    assert.equal(resolutions.ofJob(other, pinned), undefined);
    assert.equal(resolutions.young(other, pinned, ttlMs), undefined);
    assert.equal(resolutions.last(other, pinned), undefined);
  });

  for (const [what, reference] of [
    ['a tag', tag],
    ['a digest', pinned],
  ] as const) {
    it(`uses a young answer about ${what} again, and not an old one`, () => {
      resolutions.answered(user, reference, of('sha256:a'));
      now += ttlMs - 1;
      assert.equal(resolutions.young(user, reference, ttlMs)?.digest, 'sha256:a');
      now += 1;
      assert.equal(resolutions.young(user, reference, ttlMs), undefined);
    });
  }

  it('takes no answer from the future for a young one', () => {
    resolutions.answered(user, tag, of('sha256:a'));
    now -= 1000;
    assert.equal(resolutions.young(user, tag, ttlMs), undefined);
  });

  it('falls back on what led to an image, also after a restart, and not on what did not', () => {
    resolutions.used(user, tag, resolutions.answered(user, tag, of('sha256:good')), image);
    now += ttlMs;
    resolutions.answered(user, tag, of('sha256:broken'));
    resolutions.forget(user, tag);
    assert.equal(resolutions.young(user, tag, ttlMs), undefined);
    assert.equal(resolutions.last(user, tag, ttlMs + 1)?.digest, 'sha256:good');
    assert.equal(resolutions.last(user, tag, ttlMs), undefined);
    resolutions = open();
    assert.equal(resolutions.last(user, tag)?.digest, 'sha256:good');
    assert.equal(resolutions.young(user, tag, ttlMs + 1)?.digest, 'sha256:good');
  });

  it('shows all steps of a job one digest, however long the job lasts', () => {
    resolutions.keepForJob(job(7), tag, kept(resolutions.answered(job(7), tag, of('sha256:a'))));
    now += 1e9;
    resolutions.keepForJob(job(8), tag, kept(resolutions.answered(job(8), tag, of('sha256:b'))));
    assert.equal(resolutions.ofJob(job(7), tag)?.digest, 'sha256:a');
    assert.equal(resolutions.ofJob(job(8), tag)?.digest, 'sha256:b');
    assert.equal(resolutions.ofJob(user, tag), undefined);
  });

  it('gives two steps that asked at once the answer of the first', () => {
    const [a, b] = ['sha256:a', 'sha256:b'].map((digest) => resolutions.answered(job(7), tag, of(digest)));
    assert.equal(resolutions.keepForJob(job(7), tag, kept(a as Answer)).digest, 'sha256:a');
    assert.equal(resolutions.keepForJob(job(7), tag, kept(b as Answer)).digest, 'sha256:a');
  });

  it('lets an answer that was asked for take the place of one that was found', () => {
    const answer = resolutions.answered(job(7), tag, of('sha256:a'));
    resolutions.keepForJob(job(7), tag, kept(answer, false));
    assert.equal(
      resolutions.keepForJob(job(7), tag, kept({ ...answer, digest: 'b' }, false)).digest,
      'sha256:a',
    );
    assert.equal(resolutions.keepForJob(job(7), tag, kept({ ...answer, digest: 'b' })).digest, 'b');
  });

  it("does not let a job's old answer hide what the reference stands for now", () => {
    const old = resolutions.answered(job(7), tag, of('sha256:a'));
    now += 1;
    resolutions.used(job(8), tag, resolutions.answered(job(8), tag, of('sha256:b')), image);
    resolutions.used(job(7), tag, old, image);
    assert.equal(resolutions.last(user, tag)?.digest, 'sha256:b');
  });
});
