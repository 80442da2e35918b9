import { Ajv, type ValidateFunction } from 'ajv';

import { namespaces } from './options.js';

const text = { type: 'string', maxLength: 65_536 } as const;
const texts = { type: 'array', items: text, maxItems: 256 } as const;
const flag = { type: 'boolean' } as const;

const common = {
  workdir: text,
  env: { type: 'object', additionalProperties: text, maxProperties: 1000 },
  env_from_job: texts,
  home: flag,
  writable: flag,
  root: flag,
  entrypoint: flag,
  unshare: { type: 'array', items: { type: 'string', enum: namespaces } },
  pull: { type: 'string', enum: ['missing', 'always', 'never'] },
  show_digest: flag,
} as const;

/** config.toml: what holds for all of a user's jobs, by the names of srun's options. */
const configSchema = {
  type: 'object',
  additionalProperties: false,
  properties: { mount: texts, device: texts, ...common },
} as const;

/** NAME.toml: an image and all that belongs to it. */
const environmentSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    image: text,
    base: { type: ['string', 'array'], items: text, maxItems: 16, maxLength: 1000 },
    mounts: texts,
    devices: texts,
    ...common,
  },
} as const;

/** What ajv has accepted, of either file. */
export interface SettingsTable {
  image?: string;
  base?: string | string[];
  mount?: string[];
  mounts?: string[];
  device?: string[];
  devices?: string[];
  workdir?: string;
  env?: Record<string, string>;
  env_from_job?: string[];
  home?: boolean;
  writable?: boolean;
  root?: boolean;
  entrypoint?: boolean;
  unshare?: string[];
  pull?: 'missing' | 'always' | 'never';
  show_digest?: boolean;
}

/** Of keys that somebody may expect. */
export const reasonsAgainst: Readonly<Record<string, string>> = {
  annotations: 'annotations are for the hooks of another container engine; name devices instead',
  base_environment: 'it is called base here',
};
export const reasonsAgainstInConfig: Readonly<Record<string, string>> = {
  image: 'which image a job runs in has to be asked for with --image; put it into a named environment',
  name: 'a container is named by the job that keeps it, with --image-name',
  save: 'a container is saved by the job that made it, with --image-save',
  batch:
    'whether the batch script runs in the image is decided before this file is read; write #SBATCH --image-batch',
};

type Validator = ValidateFunction<SettingsTable>;
let validators: { config: Validator; environment: Validator } | undefined;

/** Compiled when they are needed: few users have such files. */
export function settingsValidator(kind: 'config' | 'environment'): Validator {
  const ajv = new Ajv({ verbose: true, allowUnionTypes: true });
  validators ??= { config: ajv.compile(configSchema), environment: ajv.compile(environmentSchema) };
  return validators[kind];
}
