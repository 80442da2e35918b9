import { readFileSync } from 'node:fs';
import { ClusterError } from './error.js';
import { nodePaths, type Layout } from './layout.js';

export interface PluginOptions {
  /** Default "required", the only one that is safe; tests of the other want to see it refused. */
  readonly flag?: 'required' | 'optional';
  /** Arguments added to those of the example, or put in their place: { batch: 'container' }. */
  readonly args?: Readonly<Record<string, string>>;
}

const example = 'slurm-conf-examples/plugstack.conf';

/** The shipped example with this cluster's paths, so that what is tested is what a site copies. */
export const plugstackConf = (layout: Layout, options: PluginOptions = {}): string => {
  const node = nodePaths(layout.node);
  const line = readFileSync(example, 'utf8')
    .split('\n')
    .find((text) => /^(required|optional)\s/.test(text));
  if (line === undefined) throw new ClusterError(`${example} has no line that loads the plugin`);
  const [flag, , ...words] = line.split(/\s+/);
  const args = new Map(
    words.map((word) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]),
  );
  const local = { socket: node.apiSocket, trees: node.trees, libexec: `${layout.prefix}/libexec/stowage` };
  for (const [key, value] of Object.entries({ ...local, ...options.args })) args.set(key, value);
  const text = [...args].map(([key, value]) => `${key}=${value}`).join(' ');
  return `${options.flag ?? flag} ${layout.prefix}/lib/slurm/spank_stowage.so ${text}\n`;
};
