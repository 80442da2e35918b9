import { thisNode } from '../image/platform.js';
import { parseSource } from '../image/source.js';
import { openLocalSource } from './local-source.js';
import type { OpenedSource } from './opened-source.js';
import { openRegistryImage } from './registry-source.js';
import type { Tools } from './tools.js';

/** Finds and opens what `text` names, and reads what describes it. Throws StowageError or CommandError. */
export async function openSource(text: string, tools: Tools): Promise<OpenedSource> {
  const source = parseSource(text);
  const node = thisNode();
  return source.kind === 'registry'
    ? openRegistryImage(source.reference, node, tools)
    : openLocalSource(source, node, tools);
}
