import { parseDocument } from '../image/json-document.js';

/** What an image's configuration says for people to read, and Stowage makes no use of. */
export interface Details {
  /** RFC 3339, as it stands there. */
  created: string | null;
  labels: Record<string, string>;
}

/** OCI image-spec v1.1 config.md, `created` and `config.Labels`. What does not have their form is left out. */
export function readDetails(config: Uint8Array): Details {
  const document = objectOr(parseDocument(config, 'the configuration'));
  const labels = objectOr(objectOr(document['config'])['Labels']);
  const { created } = document;
  return {
    created: typeof created === 'string' && created !== '' ? created : null,
    labels: Object.fromEntries(
      Object.entries(labels).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
    ),
  };
}

function objectOr(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}
