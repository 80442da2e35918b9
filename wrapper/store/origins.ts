/**
 * A scope is "REGISTRY/REPOSITORY" of a reference: "docker.io/library/ubuntu". These are the files that say from
 * which scopes a blob was delivered, a line for each; decision 0011.
 */

/** What a file of origins says. A line counts only when it is complete. */
export function parseOrigins(text: string): Set<string> {
  return new Set(
    text
      .slice(0, text.lastIndexOf('\n') + 1)
      .split('\n')
      .filter(isScope),
  );
}

export function formatOrigins(scopes: Iterable<string>): string {
  return [...scopes].map((scope) => `${scope}\n`).join('');
}

/** So many of one blob are remembered; who is forgotten downloads it again. */
export const mostScopes = 128;

/** The scopes with one more; the oldest make room for it. */
export function withScope(scopes: ReadonlySet<string>, scope: string): string[] {
  if (!isScope(scope)) throw new TypeError(`not a scope: ${JSON.stringify(scope.slice(0, 100))}`);
  return scopes.has(scope) ? [...scopes] : [...[...scopes].slice(1 - mostScopes), scope];
}

/** Whether one of `scopes` is a repository of the same registry as `scope`. */
export function haveRegistryOf(scope: string, scopes: Iterable<string>): boolean {
  const registry = registryOf(scope);
  return [...scopes].some((other) => registryOf(other) === registry);
}

function registryOf(scope: string): string {
  return scope.slice(0, scope.indexOf('/'));
}

function isScope(text: string): boolean {
  return /^[!-.0-~]+\/[!-~]+$/.test(text);
}
