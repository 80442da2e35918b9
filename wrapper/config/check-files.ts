import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { reasonOf, StowageError } from '../error.js';
import type { Config } from './config.js';

const certificate = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * Looks into the files that the configuration names. Throws `config-invalid`, naming key and file. `path` is the
 * configuration's, for messages.
 */
export function checkFiles(config: Config, path: string): void {
  for (const [registry, { ca }] of Object.entries(config.registries)) {
    if (ca === undefined) continue;
    const problem = problemOf(ca);
    if (problem === undefined) continue;
    throw new StowageError(
      'config-invalid',
      `configuration ${path}: ca of [registries."${registry}"]: ${ca} ${problem}`,
    );
  }
}

function problemOf(ca: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(ca, 'utf8');
  } catch (error) {
    return `cannot be read (${reasonOf(error)})`;
  }
  const certificates = text.match(certificate) ?? [];
  if (certificates.length === 0) return 'holds no certificate in PEM';
  try {
    for (const pem of certificates) new X509Certificate(pem);
  } catch (error) {
    return `holds a certificate that cannot be understood (${reasonOf(error)})`;
  }
  return undefined;
}
