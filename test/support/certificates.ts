import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A certificate and its key, both as PEM. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

const openssl = (subject: string, args: (directory: string) => readonly string[]): Certificate => {
  const directory = mkdtempSync(join(tmpdir(), 'stowage-certificate-'));
  const at = (name: string): string => join(directory, name);
  try {
    const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    const files = ['-keyout', at('key'), '-out', at('certificate')];
    execFileSync(
      'openssl',
      ['req', '-x509', '-days', '2', ...newKey, '-subj', `/CN=${subject}`, ...files, ...args(directory)],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    return { certificate: readFileSync(at('certificate'), 'utf8'), key: readFileSync(at('key'), 'utf8') };
  } finally {
    rmSync(directory, { recursive: true });
  }
};

/** One that vouches for itself, and may for others. Its key is on the curve P-256. */
export const selfSigned = (subject: string): Certificate => openssl(subject, () => []);

/** One for a server on this host, by address and by name, for which `authority` vouches. */
export const forLoopback = (authority: Certificate): Certificate =>
  openssl('localhost', (directory) => {
    const files = { ca: join(directory, 'ca'), key: join(directory, 'ca.key') };
    writeFileSync(files.ca, authority.certificate);
    writeFileSync(files.key, authority.key, { mode: 0o600 });
    const names = 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1';
    return ['-CA', files.ca, '-CAkey', files.key, '-addext', names, '-addext', 'basicConstraints=CA:FALSE'];
  });
