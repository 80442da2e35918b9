import { execFileSync } from 'node:child_process';
import fs from 'node:fs';

/** Fills a directory with one of each kind of file that archives have to tell apart; as root, with devices too. */
export const fillOddly = (root: string): void => {
  const at = (name: string): string => `${root}/${name}`;
  for (const name of ['bin', 'etc/deep/er', 'empty', 'tmp', 'closed'])
    fs.mkdirSync(at(name), { recursive: true });
  fs.writeFileSync(at('bin/tool'), 'tool\n'.repeat(50_000), { mode: 0o755 });
  fs.linkSync(at('bin/tool'), at('bin/same'));
  fs.linkSync(at('bin/tool'), at('etc/deep/third'));
  fs.writeFileSync(at('bin/su'), 'setuid');
  fs.chmodSync(at('bin/su'), 0o6755);
  fs.symlinkSync('tool', at('bin/link'));
  fs.linkSync(at('bin/link'), at('bin/same-link'));
  fs.symlinkSync('/nowhere/' + 't'.repeat(150), at('dangling'));
  fs.writeFileSync(at('none'), 'unreadable');
  fs.writeFileSync(at('nothing'), '');
  fs.writeFileSync(at('n'.repeat(255)), 'long name');
  fs.writeFileSync(Buffer.from(at('caf\xe9'), 'latin1'), 'not UTF-8');
  fs.writeFileSync(at('größe'), 'UTF-8');
  fs.writeFileSync(at('new\nline'), '\n');
  fs.writeFileSync(at('-rf'), 'an option');
  fs.writeFileSync(at('etc/deep/er/leaf'), 'leaf');
  const fd = fs.openSync(at('holes'), 'w');
  for (const megabytes of [1, 3, 7]) fs.writeSync(fd, 'data', megabytes << 20);
  fs.ftruncateSync(fd, 9 << 20);
  fs.closeSync(fd);
  for (const name of ['bin/tool', 'empty'])
    execFileSync('setfattr', ['-n', 'user.note', '-v', `of ${name}`, at(name)]);
  fs.utimesSync(at('nothing'), 1_111_111_111.25, 1_111_111_111.25);
  fs.lutimesSync(at('dangling'), 1_222_222_222, 1_222_222_222);
  fs.utimesSync(at('etc/deep'), 1_333_333_333, 1_333_333_333);
  fs.chmodSync(at('none'), 0);
  fs.chmodSync(at('closed'), 0);
  fs.chmodSync(at('empty'), 0o2775);
  fs.chmodSync(at('tmp'), 0o1777);
};
