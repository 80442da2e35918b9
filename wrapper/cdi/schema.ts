/**
 * A CDI specification as it is written: SPEC.md of github.com/cncf-tags/container-device-interface, "CDI JSON
 * Specification", up to 1.1.0. What a version of it does not have yet, versions.ts knows; what words may stand for,
 * container-edits.ts.
 */
const text = { type: 'string', pattern: '^[^\\u0000]*$', maxLength: 131_072 } as const;
const some = { ...text, minLength: 1 } as const;
const texts = { type: 'array', items: text, maxItems: 10_000 } as const;
const whole = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const;
const id = { type: 'integer', minimum: 0, maximum: 4_294_967_295 } as const;
const yesOrNo = { type: 'boolean' } as const;

function closed<Properties>(properties: Properties, required: readonly string[] = []) {
  return { type: 'object', additionalProperties: false, required, properties } as const;
}

function listOf<Item>(items: Item) {
  return { type: 'array', maxItems: 10_000, items } as const;
}

const annotations = { type: 'object', additionalProperties: text } as const;

// "OCI Edits"
const containerEdits = closed({
  env: texts,
  deviceNodes: listOf(
    closed(
      {
        path: some,
        hostPath: text,
        type: { type: 'string', enum: ['', 'b', 'c', 'u', 'p'] },
        major: id,
        minor: id,
        fileMode: whole,
        permissions: { type: 'string', pattern: '^(?:[rwm]*|none)$' },
        uid: id,
        gid: id,
      },
      ['path'],
    ),
  ),
  netDevices: listOf(closed({ hostInterfaceName: some, name: some }, ['hostInterfaceName', 'name'])),
  mounts: listOf(
    closed({ hostPath: some, containerPath: some, type: text, options: texts }, [
      'hostPath',
      'containerPath',
    ]),
  ),
  hooks: listOf(
    closed(
      {
        hookName: {
          type: 'string',
          enum: ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'],
        },
        path: some,
        args: texts,
        env: texts,
        timeout: { type: 'integer', minimum: 1, maximum: 86_400 },
      },
      ['hookName', 'path'],
    ),
  ),
  // The text of the specification writes it in both ways.
  additionalGids: listOf(id),
  additionalGIDs: listOf(id),
  intelRdt: closed({
    closID: text,
    l3CacheSchema: text,
    memBwSchema: text,
    enableCMT: yesOrNo,
    enableMBM: yesOrNo,
    schemata: texts,
    enableMonitoring: yesOrNo,
  }),
});

export const specSchema = closed(
  {
    cdiVersion: some,
    kind: some,
    annotations,
    devices: {
      type: 'array',
      minItems: 1,
      maxItems: 10_000,
      items: closed({ name: some, annotations, containerEdits }, ['name']),
    },
    containerEdits,
  },
  ['cdiVersion', 'kind', 'devices'],
);

/** What ajv has accepted. */
export interface SpecFile {
  cdiVersion: string;
  kind: string;
  annotations?: Record<string, string>;
  devices: { name: string; annotations?: Record<string, string>; containerEdits?: WrittenEdits }[];
  containerEdits?: WrittenEdits;
}

export interface WrittenEdits {
  env?: string[];
  deviceNodes?: WrittenNode[];
  netDevices?: { hostInterfaceName: string; name: string }[];
  mounts?: WrittenMount[];
  hooks?: WrittenHook[];
  additionalGids?: number[];
  additionalGIDs?: number[];
  intelRdt?: object;
}

export interface WrittenNode {
  path: string;
  hostPath?: string;
  type?: '' | 'b' | 'c' | 'u' | 'p';
  major?: number;
  minor?: number;
}

export interface WrittenMount {
  hostPath: string;
  containerPath: string;
  type?: string;
  options?: string[];
}

export interface WrittenHook {
  hookName: string;
  path: string;
  args?: string[];
  env?: string[];
  timeout?: number;
}
