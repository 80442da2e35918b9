import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';

const page = readFileSync('docs/options.md', 'utf8');
const rows = page.split('\n').filter((line) => line.startsWith('| `--'));
const switches = [...readFileSync('spank-plugin/switches.c', 'utf8').matchAll(/^ {4}\{"([\w-]+)",/gm)].map(
  ([, name = '']) => name,
);

/** "x.test.ts: title", as the page names tests. */
const named = [...page.matchAll(/`([\w-]+\.test\.ts): ([^`]+)`/g)].map(([, file = '', title = '']) => ({
  file: `test/slurm/${file}`,
  title,
}));

const titlesIn = (file: string): (string | undefined)[] =>
  [...readFileSync(file, 'utf8').matchAll(/\b(?:it|describe|clusterSuite)\(\s*(['"`])(.*?)\1,/g)].map(
    ([, , title]) => title,
  );

describe('docs/options.md', () => {
  it('has a row for every option that the plugin registers', () => {
    assert.ok(switches.length > 15);
    const known = new Set(rows.flatMap((row) => [...row.matchAll(/`--([\w-]+)/g)].map(([, name]) => name)));
    assert.deepEqual(
      switches.filter((name) => !known.has(name)),
      [],
    );
  });

  it('names in each row an option, its variable, and a test', () => {
    for (const row of rows) {
      const [, option = '', variable = ''] = row.split(/(?<!\\)\|/).map((cell) => cell.trim());
      const [first = ''] = /image[\w-]*/.exec(option) ?? [];
      const base = first === 'image-readonly' ? 'image-writable' : first;
      assert.equal(variable, `\`STOWAGE_${base.toUpperCase().replaceAll('-', '_')}\``);
      assert.match(row, /\.test\.ts: [^|]+\|$/);
      assert.ok(switches.includes(first), row);
    }
  });

  it('names only tests that there are', () => {
    for (const { file, title } of named) {
      assert.ok(existsSync(file), file);
      assert.ok(titlesIn(file).includes(title), `${file} has no ${title}`);
    }
  });
});
