import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { reasonOf } from '../error.js';
import type { Image } from '../image/image.js';
import type { Reference } from '../image/reference.js';
import type { Log } from '../telemetry/log.js';
import {
  type CatalogEntry,
  catalogUids,
  readCatalogFile,
  setAsideCatalogFile,
  writeCatalogFile,
} from './catalog-file.js';
import { scopeOf } from './registry-image.js';
import type { Resolution } from './resolutions.js';

/** What a reference stood for when a user last asked, and what of it is needed on this node. */
export interface KnownImage extends Resolution {
  uid: number;
  /** "docker.io/library/ubuntu:24.04" */
  canonical: string;
  /** As the store has it: "docker.io/library/ubuntu". */
  scope: string;
  /** Of the manifest for this node's platform; "" until it was read. */
  imageDigest: string;
  /** Layers, then indexes, manifest and configuration, each once; [] until they were read. */
  blobs: readonly { digest: string; size: number }[];
  /** How many of `blobs` are layers, and their bytes as they are in the registry. */
  layerCount: number;
  layerBytes: number;
  /** Milliseconds since 1970-01-01 UTC. The last use is kept to the minute. */
  resolvedAtMs: number;
  usedAtMs: number;
}

/** What is kept: with a dozen layers in each image this is some 20 MB of memory at the very most. */
const mostImages = { ofUser: 1000, inAll: 10_000 };

/** When changes are written: what was learnt soon, when it was used for the last time later. */
const writeAfterMs = 1000;
const writeUseAfterMs = 60_000;

const minuteMs = 60_000;

export interface CatalogOptions {
  most?: typeof mostImages;
  now?: () => number;
}

/**
 * What users' references stood for on this node, DIRECTORY/catalog/UID.json; survives restarts. One user's
 * entries are never another's. Losing some of it costs a question to a registry, so failures to write are
 * logged and bother nobody.
 */
export class Catalog {
  /** By uid and canonical reference; the least recently used of a user first. */
  readonly #images = new Map<number, Map<string, KnownImage>>();
  readonly #changed = new Set<number>();
  #count = 0;
  #timer: NodeJS.Timeout | undefined;
  #dueMs = Infinity;
  #writing: Promise<void> = Promise.resolve();
  #failing = false;

  private constructor(
    private readonly directory: string,
    private readonly log: Log,
    private readonly most: typeof mostImages,
    private readonly now: () => number,
  ) {}

  /** Opens the catalog of the store in `directory`. What is damaged there is set aside, and said in the log. */
  static async open(
    directory: string,
    log: Log,
    { most = mostImages, now = Date.now }: CatalogOptions = {},
  ): Promise<Catalog> {
    const catalog = new Catalog(join(directory, 'catalog'), log, most, now);
    await catalog.#load();
    return catalog;
  }

  find(uid: number, canonical: string): KnownImage | undefined {
    return this.#images.get(uid)?.get(canonical);
  }

  /** The registry said, in a session of this user, what the reference stands for. */
  resolved(
    uid: number,
    reference: Reference,
    { digest, mediaType }: Resolution,
    resolvedAtMs = this.now(),
  ): void {
    const { canonical } = reference;
    const before = this.find(uid, canonical);
    const read =
      before?.digest === digest ? before : { imageDigest: '', blobs: [], layerCount: 0, layerBytes: 0 };
    const { imageDigest, blobs, layerCount, layerBytes } = read;
    this.#put({
      ...{ uid, canonical, scope: scopeOf(reference), digest, mediaType: mediaType ?? before?.mediaType },
      ...{ imageDigest, blobs, layerCount, layerBytes, resolvedAtMs, usedAtMs: toMinute(this.now()) },
    });
    this.#writeAfter(uid, writeAfterMs);
  }

  /**
   * This user makes use of the image now. Nothing is recorded but the time if the reference stands for another
   * one by now, and not even that if it was forgotten.
   */
  used(uid: number, reference: Reference, image: Image): void {
    const known = this.find(uid, reference.canonical);
    if (!known) return;
    const usedAtMs = toMinute(this.now());
    const isNews = known.imageDigest === '' && image.documents?.[0]?.digest === known.digest;
    if (isNews) {
      const layers = distinct(image.layers);
      this.#put({
        ...known,
        imageDigest: image.digest,
        blobs: distinct([...layers, ...(image.documents ?? [])]),
        layerCount: layers.length,
        layerBytes: layers.reduce((sum, { size }) => sum + size, 0),
        usedAtMs,
      });
      this.#writeAfter(uid, writeAfterMs);
    } else {
      this.#put({ ...known, usedAtMs });
      if (known.usedAtMs !== usedAtMs) this.#writeAfter(uid, writeUseAfterMs);
    }
  }

  forget(uid: number, canonical: string): void {
    if (!this.#remove(uid, canonical)) return;
    this.#writeAfter(uid, writeAfterMs);
  }

  /** Of one user or of all; the last used first. */
  list(uid?: number): KnownImage[] {
    const wanted = uid === undefined ? [...this.#images.keys()] : [uid];
    return wanted
      .flatMap((each) => [...(this.#images.get(each)?.values() ?? [])].reverse())
      .sort((a, b) => b.usedAtMs - a.usedAtMs);
  }

  /** Writes what is not written yet. */
  async close(): Promise<void> {
    await this.#write();
  }

  async #load(): Promise<void> {
    let uids: number[] = [];
    try {
      await mkdir(this.directory, { recursive: true, mode: 0o700 });
      uids = await catalogUids(this.directory);
    } catch (error) {
      this.log.write('warning', 'catalog unreadable', { path: this.directory, message: reasonOf(error) });
    }
    for (const uid of uids) await this.#loadUser(uid);
  }

  async #loadUser(uid: number): Promise<void> {
    try {
      const entries = await readCatalogFile(this.directory, uid);
      for (const entry of entries) this.#put({ mediaType: undefined, ...entry, uid });
    } catch (error) {
      this.log.write('warning', 'catalog damaged', { uid, message: reasonOf(error) });
      await setAsideCatalogFile(this.directory, uid).catch(() => undefined);
    }
  }

  /** As the one used last. What there is too much of goes. */
  #put(image: KnownImage): void {
    const { uid, canonical } = image;
    this.#remove(uid, canonical);
    const own = this.#images.get(uid) ?? new Map<string, KnownImage>();
    this.#images.set(uid, own.set(canonical, image));
    this.#count++;
    if (own.size > this.most.ofUser) this.#removeOldest([own]);
    if (this.#count > this.most.inAll) this.#removeOldest(this.#images.values());
  }

  #removeOldest(maps: Iterable<Map<string, KnownImage>>): void {
    let oldest: KnownImage | undefined;
    for (const images of maps) {
      const [first] = images.values();
      if (first && (!oldest || first.usedAtMs < oldest.usedAtMs)) oldest = first;
    }
    if (!oldest) return;
    this.#remove(oldest.uid, oldest.canonical);
    this.#writeAfter(oldest.uid, writeUseAfterMs);
  }

  #remove(uid: number, canonical: string): boolean {
    const own = this.#images.get(uid);
    if (!own?.delete(canonical)) return false;
    this.#count--;
    if (own.size === 0) this.#images.delete(uid);
    return true;
  }

  #writeAfter(uid: number, delayMs: number): void {
    this.#changed.add(uid);
    const dueMs = performance.now() + delayMs;
    if (dueMs >= this.#dueMs) return;
    this.#dueMs = dueMs;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#write(), delayMs).unref();
  }

  #write(): Promise<void> {
    clearTimeout(this.#timer);
    this.#dueMs = Infinity;
    // One after the other: two writers of one file would take it from each other.
    this.#writing = this.#writing.then(() => this.#writeChanged());
    return this.#writing;
  }

  async #writeChanged(): Promise<void> {
    for (const uid of [...this.#changed]) {
      this.#changed.delete(uid);
      const entries = [...(this.#images.get(uid)?.values() ?? [])].map(entryOf);
      try {
        await writeCatalogFile(this.directory, uid, entries);
        this.#failing = false;
      } catch (error) {
        // Tried again with the next change.
        this.#changed.add(uid);
        if (!this.#failing) {
          this.log.write('warning', 'catalog not written', { uid, message: reasonOf(error) });
        }
        this.#failing = true;
      }
    }
  }
}

function entryOf({ uid: _, mediaType, blobs, ...rest }: KnownImage): CatalogEntry {
  return { ...rest, blobs: [...blobs], ...(mediaType === undefined ? {} : { mediaType }) };
}

function distinct(blobs: readonly { digest: string; size: number }[]): { digest: string; size: number }[] {
  return [...new Map(blobs.map(({ digest, size }) => [digest, { digest, size }])).values()];
}

function toMinute(ms: number): number {
  return Math.floor(ms / minuteMs) * minuteMs;
}
