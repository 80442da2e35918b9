import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { StowageError } from '../error.js';
import type { Image } from '../image/image.js';
import { readLocalImage } from '../image/local-image.js';
import type { NodePlatform } from '../image/platform.js';
import { escapeControls, quote } from '../image/quote.js';
import type { LocalSource } from '../image/source.js';
import { CommandError } from './command-error.js';
import { identify, type Identity } from './identify.js';
import { filesOfArchive, filesOfDirectory, type ImageFiles } from './image-files.js';
import { type LocalFile, openLocalFile } from './local-file.js';
import type { OpenedImage, OpenedSource } from './opened-source.js';
import type { Tools } from './tools.js';

/** A source with its path made absolute, and the name it is called by in messages. */
interface Located {
  path: string;
  selector: string;
  name: string;
}

/** Opens what is in the user's own files, and finds out what it is by its content. */
export async function openLocalSource(
  source: LocalSource,
  node: NodePlatform,
  tools: Tools,
): Promise<OpenedSource> {
  const located = await locate(source, tools.surroundings);
  const file = await openLocalFile(located.path);
  try {
    return file.kind === 'directory'
      ? await openDirectory(file, source.scheme, located, node)
      : await openFile(file, source.scheme, located, node, tools);
  } catch (error) {
    await file.handle.close();
    throw error;
  }
}

async function locate(
  { scheme, location, path, selector }: LocalSource,
  { cwd, home }: { cwd: string; home: string },
): Promise<Located> {
  const absolute = (text: string): string =>
    text.startsWith('~/') ? join(home, text.slice(1)) : resolve(cwd, text);
  const whole = absolute(location);
  // Paths may hold ":" as well.
  const isWhole = await stat(whole).then(
    () => true,
    () => false,
  );
  const found = isWhole ? { path: whole, selector: '' } : { path: absolute(path), selector };
  const prefix = scheme === 'path' ? '' : `${scheme}:`;
  return {
    ...found,
    name: escapeControls(`${prefix}${found.path}${found.selector && `:${found.selector}`}`),
  };
}

async function openDirectory(
  { handle }: LocalFile,
  scheme: LocalSource['scheme'],
  located: Located,
  node: NodePlatform,
): Promise<OpenedSource> {
  const { path, name } = located;
  if (scheme === 'oci-archive' || scheme === 'docker-archive') {
    throw new CommandError(
      `${quote(path)} is a directory and no archive; write oci:${quote(path).slice(1, -1)} if it is an OCI layout`,
    );
  }
  if (scheme === 'oci' || (await isThere(join(path, 'oci-layout')))) {
    return openImage('oci-layout', filesOfDirectory(handle, name), located, node);
  }
  return { kind: 'directory', name: path, handle, close: () => handle.close() };
}

async function openFile(
  { handle }: LocalFile,
  scheme: LocalSource['scheme'],
  located: Located,
  node: NodePlatform,
  { program, surroundings, progress }: Tools,
): Promise<OpenedSource> {
  const { path, name } = located;
  if (scheme === 'oci') {
    throw new CommandError(
      `${quote(path)} is a file and no OCI layout; if it is an archive of one, write oci-archive:${quote(path).slice(1, -1)}`,
    );
  }
  const identity = await identify(
    program,
    handle,
    name,
    (done, total) => progress.bytes(`reading ${name}`, done, total),
    surroundings.signal,
  );
  if (identity.kind !== 'archive') {
    if (scheme === 'path') return { kind: 'file', name: path, identity, handle, close: () => handle.close() };
    throw new CommandError(
      `${quote(path)} is a root file system (${identity.kind}) and no archive of an image; write its path alone`,
    );
  }
  const form = formOf(identity, scheme, path);
  return openImage(form, filesOfArchive(handle, identity.members, name), located, node);
}

function formOf(
  { members }: Extract<Identity, { kind: 'archive' }>,
  scheme: LocalSource['scheme'],
  path: string,
): 'oci-archive' | 'docker-archive' {
  const form = scheme === 'path' || scheme === 'oci' ? undefined : scheme;
  if (form === undefined) return members.has('index.json') ? 'oci-archive' : 'docker-archive';
  if (members.has(form === 'oci-archive' ? 'index.json' : 'manifest.json')) return form;
  const other = form === 'oci-archive' ? 'docker-archive' : 'oci-archive';
  throw new CommandError(
    `${quote(path)} is not what ${form}: stands for; write ${other}:${quote(path).slice(1, -1)}`,
  );
}

async function openImage(
  source: Exclude<OpenedImage['source'], 'registry'>,
  files: ImageFiles,
  { selector, name }: Located,
  node: NodePlatform,
): Promise<OpenedImage> {
  const documents: Uint8Array[] = [];
  const seen = {
    read: async (member: string, maxBytes: number): Promise<Uint8Array> => {
      const bytes = await files.read(member, maxBytes);
      documents.push(bytes);
      return bytes;
    },
  };
  const format = source === 'docker-archive' ? 'docker-archive' : 'oci-layout';
  const read = await readLocalImage(format, selector, seen, node, name);
  const extents = await Promise.all(read.layers.map(({ member }) => files.extent(member)));
  const image = withSizes(read, extents, name);
  return {
    kind: 'image',
    source,
    name,
    image,
    documents,
    openLayers: async () => ({ layers: extents, download: undefined }),
    close: () => files.close(),
  };
}

/** docker's manifest.json is silent on sizes; where a manifest gives them, the files must have them. */
function withSizes(image: Image, extents: readonly { size: number }[], name: string): Image {
  const layers = image.layers.map((layer, i) => {
    const { size } = extents[i] as { size: number };
    if (layer.digest !== '' && layer.size !== size) {
      throw new StowageError(
        'content-mismatch',
        `layer ${layer.digest} of image ${name} has ${size} bytes, and its manifest promises ${layer.size}; write the image again with the tool that made it`,
      );
    }
    return { ...layer, size };
  });
  return { ...image, layers };
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
