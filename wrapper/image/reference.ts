import { StowageError } from '../error.js';
import { isDigest } from './digest.js';
import { quote, withoutCredentials } from './quote.js';
import { aliasOf, dockerHub, type ShortNames } from './short-names.js';

/** An image in a registry, spelled out. */
export interface Reference {
  /** Host and perhaps port: "docker.io", "localhost:5000". */
  registry: string;
  /** "library/ubuntu" */
  repository: string;
  /** Undefined exactly when `digest` is set: a digest wins over a tag beside it. */
  tag: string | undefined;
  digest: string | undefined;
  /** "docker.io/library/ubuntu:24.04" */
  canonical: string;
}

// The grammar is that of github.com/distribution/reference, which docker and podman share. Besides, as enroot
// has it, "#" may stand for the "/" behind the registry.
const longestName = 255;
const component = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const hostLabel = '(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])';
const host = new RegExp(`^(?:${hostLabel}(?:\\.${hostLabel})*|\\[[0-9a-fA-F:.]+\\])(?::[0-9]{1,5})?$`);
const tagExpression = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/**
 * Reads an image reference as docker and podman do; in front of it may stand "docker://", or "docker:" as
 * Shifter writes it. So docker's own image called docker is "library/docker:27". A name without a registry is
 * completed as `names` says; of an alias, a tag or digest that the user wrote is kept. Throws
 * `reference-malformed` with the reason; credentials in the reference are never repeated.
 */
export function parseReference(text: string, names: ShortNames = dockerHub): Reference {
  const refuse = (reason: string): never => {
    throw new StowageError(
      'reference-malformed',
      `image ${quote(withoutCredentials(text))} is not valid: ${reason}`,
    );
  };
  if (text === '') {
    throw new StowageError(
      'reference-malformed',
      'the image name is empty: write for example --image=ubuntu:24.04',
    );
  }
  if (/[^!-~]/.test(text)) {
    return refuse('it contains a space, a control character or a letter outside ASCII');
  }
  const named = text.replace(/^docker:(?:\/\/)?/, '');
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(named);
  if (scheme) return refuse(`"${scheme[1]}://" is not known here; leave it out, or write docker://`);
  if (/^[./~]/.test(named)) {
    return refuse('a name in a registry begins with a letter or digit; a path has no "docker:" in front');
  }

  const written = split(named, refuse);
  const full = namesRegistry(written.name) ? undefined : aliasOf(written.name, names);
  const target = full === undefined ? undefined : split(full, refuse);
  const { digest, tag = target?.tag } = written;
  const { registry, repository } = locate(target?.name ?? written.name, names.registry, refuse);
  checkRegistry(registry, refuse);
  checkRepository(repository, refuse);
  if (registry.length + 1 + repository.length > longestName) {
    return refuse(`its name is longer than ${longestName} characters`);
  }
  const chosenTag = digest === undefined ? (tag ?? 'latest') : undefined;
  const canonical = `${registry}/${repository}${digest === undefined ? `:${chosenTag}` : `@${digest}`}`;
  return { registry, repository, tag: chosenTag, digest, canonical };
}

type Refuse = (reason: string) => never;

function split(
  text: string,
  refuse: Refuse,
): { name: string; tag: string | undefined; digest: string | undefined } {
  let name = text;
  let digest: string | undefined;
  const at = text.indexOf('@');
  if (at >= 0) {
    digest = text.slice(at + 1);
    name = text.slice(0, at);
    if (digest.includes('@') || (!isDigest(digest) && withoutCredentials(text) !== text)) {
      refuse(
        "it holds credentials, which would show in the queue and in logs; leave them out, and log in with 'podman login' instead",
      );
    }
    if (!isDigest(digest)) {
      refuse(`${quote(digest)} is not a digest; that is "sha256:" and 64 lower-case hex digits`);
    }
  }
  let tag: string | undefined;
  const colon = name.lastIndexOf(':');
  if (colon > name.lastIndexOf('/')) {
    tag = name.slice(colon + 1);
    name = name.slice(0, colon);
    if (!tagExpression.test(tag)) {
      refuse(
        tag === ''
          ? 'the tag after ":" is missing'
          : `the tag ${quote(tag)} may hold only letters, digits, "_", "." and "-", at most 128, and not begin with "." or "-"`,
      );
    }
  }
  if (name === '') refuse('the name of the image is missing');
  return { name, tag, digest };
}

/** What else Docker Hub answers to. */
const hubNames = ['index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com'];

/**
 * The one spelling of a registry, as URLs have it: without a port that is https's own, and with addresses in their
 * usual form. What a site says of a registry must not be passed by with another spelling of it. Undefined for what is
 * no host or host:port.
 */
export function spellRegistry(text: string): string | undefined {
  const url = `https://${text}`;
  if (!host.test(text) || !URL.canParse(url)) return undefined;
  const spelled = new URL(url).host;
  return hubNames.includes(spelled) ? 'docker.io' : spelled;
}

/** Whether a name, without tag and digest, says where it is; otherwise it is a short name. */
export function namesRegistry(name: string): boolean {
  const end = name.search(/[/#]/);
  const first = name.slice(0, Math.max(end, 0));
  return name[end] === '#' || (end > 0 && (first === 'localhost' || /[.:[A-Z]/.test(first)));
}

function locate(
  name: string,
  shortNameRegistry: string,
  refuse: Refuse,
): { registry: string; repository: string } {
  const isFull = namesRegistry(name);
  if (!isFull && /[A-Z]/.test(name)) refuse('repository names are lower case');
  const end = name.search(/[/#]/);
  const written = isFull ? name.slice(0, end).toLowerCase() : shortNameRegistry;
  const repository = isFull ? name.slice(end + 1) : name;
  const registry = spellRegistry(written) ?? written;
  if (registry !== 'docker.io') return { registry, repository };
  const isOfficial = repository !== '' && !repository.includes('/');
  return { registry: 'docker.io', repository: isOfficial ? `library/${repository}` : repository };
}

function checkRegistry(registry: string, refuse: Refuse): void {
  const port = /:([0-9]+)$/.exec(registry)?.[1];
  if (spellRegistry(registry) === undefined || port === '0') {
    refuse(`${quote(registry)} is not a registry's host name or host:port`);
  }
}

function checkRepository(repository: string, refuse: Refuse): void {
  if (repository === '') refuse('the repository after the registry is missing');
  if (/[A-Z]/.test(repository)) refuse('repository names are lower case');
  for (const part of repository.split('/')) {
    if (part === '') refuse('it has two "/" in a row, or one at the end');
    if (part === '.' || part === '..') refuse(`"${part}" cannot be part of a repository name`);
    if (!component.test(part)) {
      refuse(
        `${quote(part)} must be lower-case letters and digits, with single ".", "_", "__" or "-" between them`,
      );
    }
  }
  // docker reads such a name as the id of a local image; no registry can hold it.
  if (/^library\/[0-9a-f]{64}$/.test(repository))
    refuse('64 hex digits are an image id; name the image, or write name@sha256:…');
}
