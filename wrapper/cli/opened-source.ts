import type { FileHandle } from 'node:fs/promises';

import type { Image } from '../image/image.js';
import type { Identity } from './identify.js';

/** A stretch of an open file that holds a layer. */
export interface OpenLayer {
  fd: number;
  offset: number;
}

/** The layers of an image, lowest first; open until the image is closed. */
export interface OpenLayers {
  layers: OpenLayer[];
  /** Settles when the download ends that the layers grow by; undefined if all of them are there. */
  download: Promise<unknown> | undefined;
}

/** An image whose manifest and configuration were read and checked; the layers may have to be fetched. */
export interface OpenedImage {
  kind: 'image';
  /** Where it comes from. */
  source: 'registry' | 'oci-layout' | 'oci-archive' | 'docker-archive';
  /** In full: "docker.io/library/ubuntu:24.04", "oci:/data/app:1.2", or a path alone. */
  name: string;
  image: Image;
  /** Indexes, manifests and, as the last one, the configuration, as they were read. */
  documents: Uint8Array[];
  openLayers(): Promise<OpenLayers>;
  /** Ends the download if one is still under way. */
  close(): Promise<void>;
}

/** A root file system in one file, with nothing that describes it but the file itself. */
export interface OpenedFile {
  kind: 'file';
  /** Absolute path. */
  name: string;
  identity: Exclude<Identity, { kind: 'archive' }>;
  handle: FileHandle;
  close(): Promise<void>;
}

/** A root file system as a directory. */
export interface OpenedDirectory {
  kind: 'directory';
  /** Absolute path. */
  name: string;
  handle: FileHandle;
  close(): Promise<void>;
}

/** What a user called an image, found and open. */
export type OpenedSource = OpenedImage | OpenedFile | OpenedDirectory;
