import { Ajv } from 'ajv';

import { StowageError } from '../error.js';
import { digestPattern } from './digest.js';
import { parseDocument } from './json-document.js';
import type { Platform } from './manifest.js';
import { describePlatform, type NodePlatform } from './platform.js';
import { quote } from './quote.js';

/** What Stowage uses of an image's configuration. */
export interface ImageConfig {
  platform: Platform;
  /** Shown to the user, never obeyed: ranks stay who they are. */
  user: string;
  workingDirectory: string;
  entrypoint: string[];
  command: string[];
  /** "NAME=value" each, unchecked. */
  environment: string[];
  /** Digests of the uncompressed layers, lowest first. */
  diffIds: string[];
}

const strings = { type: 'array', items: { type: 'string' }, nullable: true } as const;

// OCI image-spec v1.1 config.md "Properties". docker writes null where a list is empty.
const schema = {
  type: 'object',
  required: ['architecture', 'os', 'rootfs'],
  properties: {
    architecture: { type: 'string' },
    os: { type: 'string' },
    variant: { type: 'string' },
    rootfs: {
      type: 'object',
      required: ['type', 'diff_ids'],
      properties: {
        type: { const: 'layers' },
        diff_ids: { type: 'array', items: { type: 'string', pattern: digestPattern } },
      },
    },
    config: {
      type: 'object',
      nullable: true,
      properties: {
        User: { type: 'string', nullable: true },
        WorkingDir: { type: 'string', nullable: true },
        Entrypoint: strings,
        Cmd: strings,
        Env: strings,
      },
    },
  },
} as const;

interface Document {
  architecture: string;
  os: string;
  variant?: string;
  rootfs: { diff_ids: string[] };
  config?: {
    User?: string | null;
    WorkingDir?: string | null;
    Entrypoint?: string[] | null;
    Cmd?: string[] | null;
    Env?: string[] | null;
  } | null;
}

const ajv = new Ajv({ allErrors: false, strictTypes: false });
const isConfig = ajv.compile<Document>(schema);

/** Reads a configuration and checks that it fits its manifest and this node. */
export function parseConfig(
  bytes: Uint8Array,
  layerCount: number,
  node: NodePlatform,
  image: string,
): ImageConfig {
  const document = parseDocument(bytes, `the configuration of image ${image}`);
  if (!isConfig(document)) {
    throw malformed(
      image,
      `has a configuration that breaks the OCI specification (${ajv.errorsText(isConfig.errors)})`,
    );
  }
  const diffIds = document.rootfs.diff_ids;
  if (diffIds.length !== layerCount) {
    throw malformed(
      image,
      `has ${layerCount} layers in its manifest but ${diffIds.length} in its configuration`,
    );
  }
  const { os, architecture, variant } = document;
  if (os !== node.os || architecture !== node.architecture) {
    throw new StowageError(
      'platform-not-found',
      `image ${image} is made for ${quote(describePlatform({ os, architecture })).slice(1, -1)} ` +
        `but this node needs ${node.os}/${node.architecture}; name an image for that platform`,
    );
  }
  const config = document.config ?? {};
  return {
    platform: { os, architecture, ...(variant === undefined ? {} : { variant }) },
    user: config.User ?? '',
    workingDirectory: config.WorkingDir ?? '',
    entrypoint: config.Entrypoint ?? [],
    command: config.Cmd ?? [],
    environment: config.Env ?? [],
    diffIds,
  };
}

function malformed(image: string, problem: string): StowageError {
  return new StowageError(
    'image-malformed',
    `image ${image} ${problem}; ask whoever built it to build it again`,
  );
}
