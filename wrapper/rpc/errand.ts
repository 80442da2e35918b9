import type { PullPolicy } from '../config/config.js';
import type { Reference } from '../image/reference.js';
import type { Asker } from '../store/resolutions.js';
import type { RegistryVisit } from './registry-visit.js';
import type { PrepareInput } from './request.js';
import type { Request } from './workshop.js';

/** One request for an image of a registry, and all that belongs to it. */
export interface Errand {
  input: PrepareInput;
  request: Request;
  asker: Asker;
  reference: Reference;
  pull: PullPolicy;
  visit: RegistryVisit;
}
