import { thisNode } from '../image/platform.js';
import { parseSource } from '../image/source.js';
import type { OpenedSource } from './opened-source.js';
import type { Tools } from './tools.js';

/** Finds and opens what `text` names, and reads what describes it. Throws StowageError or CommandError. */
export async function openSource(text: string, tools: Tools): Promise<OpenedSource> {
  const source = parseSource(text, tools.config.shortNames);
  const node = thisNode();
  // Loading takes longer than much of the work, so that only what is needed is loaded.
  if (source.kind === 'registry') {
    const { openRegistryImage } = await import('./registry-source.js');
    return openRegistryImage(source.reference, node, tools);
  }
  const { openLocalSource } = await import('./local-source.js');
  return openLocalSource(source, node, tools);
}
