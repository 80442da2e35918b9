/** How a site completes names without a registry. */
export interface ShortNames {
  /** Where they are looked for: "docker.io", "registry.example.org:5000". */
  registry: string;
  /** Names as a user writes them, without tag, and the full names that they stand for: with registry, perhaps with tag. */
  aliases: Readonly<Record<string, string>>;
}

/** As docker and podman have it. */
export const dockerHub: ShortNames = { registry: 'docker.io', aliases: {} };

/** What an alias stands for; undefined for names that are none. Never an alias itself: that has no registry. */
export function aliasOf(name: string, { aliases }: ShortNames): string | undefined {
  return Object.hasOwn(aliases, name) ? aliases[name] : undefined;
}
