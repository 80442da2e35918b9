import { StowageError } from '../error.js';
import type { Reference } from '../image/reference.js';
import { resolveReference } from '../store/registry-image.js';
import type { Answer, JobAnswer } from '../store/resolutions.js';
import type { Errand } from './errand.js';
import { isHere, readHere } from './image-here.js';
import type { Workshop } from './workshop.js';

/** How long a registry may take for an answer where there is one to fall back on. */
const patienceMs = 30_000;

/**
 * What the reference stands for, as this user's registry shows it to this user, or showed it when the pull policy
 * lets an earlier answer be used. Decision 0016 says which and why.
 */
export async function chooseImage(workshop: Workshop, errand: Errand): Promise<JobAnswer> {
  const { resolutions, config } = workshop;
  const { asker, reference, pull, request, visit } = errand;
  const keep = (answer: Answer, isAsked: boolean, notice = ''): JobAnswer =>
    resolutions.keepForJob(asker, reference, { ...answer, isAsked, notice });

  const ofJob = resolutions.ofJob(asker, reference);
  if (ofJob && (ofJob.isAsked || pull !== 'always')) return ofJob;
  if (pull === 'never') {
    const last = resolutions.last(asker, reference);
    if (!last) throw notOnNode(reference, 'you have not used it here before');
    return keep(last, false);
  }
  const young = resolutions.young(asker, reference, config.resolve.ttlMs);
  if (young && pull === 'missing') return keep(young, false);

  const fallback = pull === 'missing' ? await findFallback(workshop, errand) : undefined;
  request.progress.resolving();
  try {
    const resolution = await visit.ask(
      (supply, waiting) => resolveReference(supply, reference, waiting),
      fallback && patienceMs,
    );
    return keep(resolutions.answered(asker, reference, resolution), true);
  } catch (error) {
    if (!fallback || !isOutage(error)) throw error;
    return keep(fallback.answer, false, fallback.notice(error));
  }
}

/** For a caller who forbids that a registry be asked. `why` is the reason that one would have to be. */
export function notOnNode({ canonical, registry }: Reference, why: string): StowageError {
  return new StowageError(
    'not-on-node',
    `image ${canonical} is not on this node: ${why}, and the pull policy "never" forbids to ask registry ` +
      `${registry}; give --image-pull=missing once`,
  );
}

interface Fallback {
  answer: Answer;
  /** What the user is told. */
  notice: (outage: StowageError) => string;
}

/** The last answer to this user, if it is young enough to be used without the registry and all of the image is here. */
async function findFallback(
  workshop: Workshop,
  { asker, reference, input }: Errand,
): Promise<Fallback | undefined> {
  const { resolutions, config } = workshop;
  const answer = resolutions.last(asker, reference, config.resolve.maxAgeMs);
  // What cannot be read is nothing to fall back on, and no reason not to ask.
  const image = answer && (await readHere(workshop, reference, answer).catch(() => undefined));
  if (!image || !(await isHere(workshop, reference, image, input.unpackedDigests))) return undefined;
  const day = new Date(answer.resolvedAtMs).toISOString().slice(0, 16).replace('T', ' ');
  return {
    answer,
    notice: (outage) =>
      `${outage.message.replace(/; [^;]*$/, '')}; running what ${reference.canonical} was on ${day} UTC, ${image.digest}`,
  };
}

/** Whether the registry could not be asked; if it could, its word counts. */
function isOutage(error: unknown): error is StowageError {
  return error instanceof StowageError && ['registry-unreachable', 'registry-failing'].includes(error.code);
}
