import { createHash, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';

import { reasonOf, StowageError } from '../error.js';

/** Where distributions keep the authorities that a system trusts, the site's own among them. */
const systemBundles = [
  '/etc/ssl/certs/ca-certificates.crt', // Debian, Ubuntu
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem', // Fedora, RHEL
  '/etc/ssl/ca-bundle.pem', // SUSE
];

/**
 * Who is trusted to sign certificates: the system's bundle, as for curl and podman, where Node alone would take
 * the list it was built with. Then $NODE_EXTRA_CA_CERTS, and what the site adds for one registry.
 */
export class Authorities {
  /** The same for the same additions. */
  readonly key: string;
  readonly #additional: readonly string[];
  #context: SecureContext | undefined;

  private constructor(additional: readonly string[]) {
    this.#additional = additional;
    this.key = createHash('sha256').update(additional.join('\n')).digest('hex');
  }

  static readonly ofSystem = new Authorities([]);

  /** Reads a PEM file with further ones. Throws `config-invalid`; `key` says where the path is written. */
  static read(path: string, key: string): Authorities {
    const refuse = (problem: string, cause?: unknown): never => {
      throw new StowageError('config-invalid', `${key}: ${path} ${problem}`, { cause });
    };
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (error) {
      return refuse(`cannot be read (${reasonOf(error)})`, error);
    }
    const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
    if (blocks.length === 0) refuse('holds no certificate in PEM form');
    try {
      for (const block of blocks) new X509Certificate(block);
    } catch (error) {
      refuse(`holds a certificate that cannot be read (${reasonOf(error)})`, error);
    }
    return new Authorities(blocks);
  }

  /** Made when the first connection needs it, and then kept: that costs up to a tenth of a second, and two megabytes. */
  get secureContext(): SecureContext {
    return (this.#context ??= createSecureContext({
      ca: [...systemAuthorities(), ...this.#additional],
      minVersion: 'TLSv1.2',
    }));
  }
}

function systemAuthorities(): readonly string[] {
  const bundle = [process.env.SSL_CERT_FILE ?? '', ...systemBundles].find(
    (path) => path !== '' && existsSync(path),
  );
  const extra = process.env.NODE_EXTRA_CA_CERTS ?? '';
  const read = (path: string): string[] => {
    try {
      return [readFileSync(path, 'utf8')];
    } catch {
      return [];
    }
  };
  const system = bundle === undefined ? [] : read(bundle);
  return [...(system.length > 0 ? system : rootCertificates), ...(extra === '' ? [] : read(extra))];
}
