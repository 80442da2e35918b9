/** "https://HOST[:PORT]", or the same with http, as URL.origin gives it; undefined if more or less stands in `text`. */
export function originOf(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.href !== `${url.origin}/`) return undefined;
  return url.origin;
}
