import assert from 'node:assert/strict';

import { parseReference } from '../../wrapper/image/reference.js';
import { Resolutions } from '../../wrapper/store/resolutions.js';

const tag = parseReference('ubuntu:24.04');
const pinned = parseReference(`ubuntu@sha256:${'a'.repeat(64)}`);
const of = (digest: string) => ({ digest, mediaType: undefined });

describe('Resolutions', () => {
  let now = 0;
  let resolutions: Resolutions;
  beforeEach(() => {
    now = 0;
    resolutions = new Resolutions(300_000, () => now);
  });

  it("never lets one user use another's answer", () => {
    resolutions.remember({ uid: 1000, jobId: 7 }, pinned, of('sha256:a'));
    assert.equal(resolutions.find({ uid: 1001, jobId: 7 }, pinned), undefined);
    assert.equal(resolutions.find({ uid: 1001, jobId: 0 }, pinned), undefined);
  });

  it('uses a young answer again, and not an old one', () => {
    resolutions.remember({ uid: 1000, jobId: 0 }, tag, of('sha256:a'));
    now = 299_999;
    assert.equal(resolutions.find({ uid: 1000, jobId: 0 }, tag)?.digest, 'sha256:a');
    now = 300_000;
    assert.equal(resolutions.find({ uid: 1000, jobId: 0 }, tag), undefined);
  });

  it('shows all steps of a job one digest, however long the job lasts', () => {
    resolutions.remember({ uid: 1000, jobId: 7 }, tag, of('sha256:a'));
    now = 1e9;
    resolutions.remember({ uid: 1000, jobId: 8 }, tag, of('sha256:b'));
    assert.equal(resolutions.find({ uid: 1000, jobId: 7 }, tag)?.digest, 'sha256:a');
    assert.equal(resolutions.find({ uid: 1000, jobId: 8 }, tag)?.digest, 'sha256:b');
  });

  it('holds a job to an answer that it found rather than asked for', () => {
    resolutions.remember({ uid: 1000, jobId: 0 }, tag, of('sha256:a'));
    resolutions.find({ uid: 1000, jobId: 7 }, tag);
    now = 1e9;
    assert.equal(resolutions.find({ uid: 1000, jobId: 7 }, tag)?.digest, 'sha256:a');
  });

  it('gives two steps that asked at once the answer of the first', () => {
    assert.equal(resolutions.remember({ uid: 1000, jobId: 7 }, tag, of('sha256:a')).digest, 'sha256:a');
    assert.equal(resolutions.remember({ uid: 1000, jobId: 7 }, tag, of('sha256:b')).digest, 'sha256:a');
  });

  it('does not forget a pinned digest', () => {
    resolutions.remember({ uid: 1000, jobId: 0 }, pinned, of(pinned.digest as string));
    now = 1e12;
    assert.ok(resolutions.find({ uid: 1000, jobId: 0 }, pinned));
  });
});
