/** RFC 9110 section 11.6.1, as far as registries use it. */
export interface Challenge {
  /** "bearer", "basic" */
  scheme: string;
  parameters: Map<string, string>;
}

/** Begins at the beginning of a name only, so that a long one without a value is looked at once. */
const parameter = /(?<![A-Za-z0-9_-])([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/g;

/** The challenges of one WWW-Authenticate header, which may hold several, in order. */
export function parseChallenges(header: string): Challenge[] {
  const starts = [
    ...header.slice(0, 8192).matchAll(/(?:^|,)\s*(Bearer|Basic|Digest|Negotiate|NTLM)(?=\s|,|$)/gi),
  ];
  return starts.map((start, i) => {
    const text = header.slice(start.index + start[0].length, starts[i + 1]?.index);
    const parameters = new Map<string, string>();
    for (const [, name = '', quoted, bare] of text.matchAll(parameter)) {
      parameters.set(
        name.toLowerCase(),
        quoted === undefined ? (bare ?? '') : quoted.replace(/\\(.)/g, '$1'),
      );
    }
    return { scheme: (start[1] ?? '').toLowerCase(), parameters };
  });
}
