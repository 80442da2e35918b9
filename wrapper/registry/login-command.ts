/**
 * How a user logs in, for the end of a sentence. Left alone, podman and skopeo write to $XDG_RUNTIME_DIR, a directory
 * of the login node that no compute node sees (containers-auth.json(5)).
 */
export function loginCommand(registry: string): string {
  return `'podman login --authfile ~/.config/containers/auth.json ${registry}' (or 'docker login ${registry}')`;
}
