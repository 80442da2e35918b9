/** PATH_MAX of the kernel, less its NUL. */
const longestPath = 4095;

/** Absolute, and written in the one shortest way: no "..", ".", "//", "/" at the end, and no NUL. */
export function isCleanAbsolute(path: string): boolean {
  if (path === '/') return true;
  if (!path.startsWith('/') || path.includes('\0') || Buffer.byteLength(path) > longestPath) return false;
  return path
    .slice(1)
    .split('/')
    .every((part) => part !== '' && part !== '.' && part !== '..');
}

export function isAtOrBelow(path: string, ancestor: string): boolean {
  return path === ancestor || ancestor === '/' || path.startsWith(`${ancestor}/`);
}

/** `path` as a program inside a root directory would resolve it: ".." stops at "/". */
export function cleanInsideRoot(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}
