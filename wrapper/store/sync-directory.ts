import { addon } from '../addon/addon.js';

interface Syncing {
  current: Promise<void>;
  /** For whoever came since `current` began. */
  next: Promise<void> | undefined;
}

const underWay = new Map<string, Syncing>();

/** Makes the names in a directory last, whatever happens next. Those who ask during one call share the next one. */
export function syncDirectory(path: string): Promise<void> {
  const syncing = underWay.get(path);
  if (!syncing) return begin(path);
  syncing.next ??= syncing.current.catch(() => undefined).then(() => begin(path));
  return syncing.next;
}

function begin(path: string): Promise<void> {
  const syncing: Syncing = { current: addon.syncDirectory(path), next: undefined };
  underWay.set(path, syncing);
  const ended = (): void => {
    if (syncing.next === undefined) underWay.delete(path);
  };
  syncing.current.then(ended, ended);
  return syncing.current;
}
