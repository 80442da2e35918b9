const longestQuote = 200;

/**
 * Text from outside, made safe to stand in a sentence or a log line: control characters are escaped and
 * what is too long to read is cut.
 */
export function quote(text: string): string {
  const escaped = escapeControls(text.slice(0, longestQuote));
  return text.length > longestQuote ? `"${escaped}…"` : `"${escaped}"`;
}

/** The same for text that may be long: control characters become \uXXXX. */
export function escapeControls(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (c) => `\\u${(c.codePointAt(0) as number).toString(16).padStart(4, '0')}`,
  );
}

/**
 * A reference as it may be shown: `user:password@` in front of the host becomes `***@`. The "@" of a
 * digest stays.
 */
export function withoutCredentials(reference: string): string {
  const at = reference.search(/@(?!(?:sha\d+|md5|blake3):)[^@]*$/);
  const lastOther = at >= 0 ? at : credentialsBeforeDigest(reference);
  return lastOther < 0 ? reference : `***${reference.slice(lastOther)}`;
}

function credentialsBeforeDigest(reference: string): number {
  const digest = reference.search(/@(?:sha\d+|md5|blake3):[^@]*$/);
  return digest < 0 ? -1 : reference.lastIndexOf('@', digest - 1);
}
