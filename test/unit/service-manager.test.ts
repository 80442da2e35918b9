import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { ServiceManager } from '../../wrapper/service/manager.js';

// Node has no datagram sockets of this kind, so somebody else listens: prints each message as hexadecimal.
const listener = String.raw`
use Socket;
my ($name) = @ARGV;
$name =~ s/^@/\0/;
$| = 1;
socket(my $socket, PF_UNIX, SOCK_DGRAM, 0) or die;
bind($socket, pack('S a*', PF_UNIX, $name)) or die $!;
print "626f756e64\n";
while (defined recv($socket, my $text, 4096, 0)) { print unpack('H*', $text), "\n" }
`;

describe('ServiceManager', () => {
  const directory = mkdtempSync(join(tmpdir(), 'notify-'));
  let systemd: ChildProcessWithoutNullStreams | undefined;

  afterEach(() => systemd?.kill());
  after(() => rmSync(directory, { recursive: true }));

  const listen = async (name: string): Promise<() => Promise<string>> => {
    systemd = spawn('perl', ['-e', listener, name]);
    const lines = createInterface(systemd.stdout)[Symbol.asyncIterator]();
    const next = async (): Promise<string> =>
      Buffer.from(String((await lines.next()).value), 'hex').toString();
    assert.equal(await next(), 'bound');
    return next;
  };

  for (const [kind, name] of [
    ['a path', join(directory, 'notify')],
    ['an abstract name', `@stowage-test-${process.pid}`],
  ] as const) {
    it(`tells a socket with ${kind}`, async () => {
      const next = await listen(name);
      const manager = new ServiceManager({ NOTIFY_SOCKET: name });
      manager.ready('two\nlines');
      assert.equal(await next(), 'READY=1\nSTATUS=two lines');
      manager.reloading();
      assert.match(await next(), /^RELOADING=1\nMONOTONIC_USEC=\d+$/);
      manager.keepAlive();
      assert.equal(await next(), 'WATCHDOG=1');
      manager.stopping();
      assert.match(await next(), /^STOPPING=1\n/);
    });
  }

  it('says nothing without a socket, and survives one that is gone, too long or of another kind', () => {
    const names = [undefined, '', '/nonexistent/notify', `/${'x'.repeat(200)}`, 'vsock:2:1', '@', '/a\0b'];
    for (const NOTIFY_SOCKET of names) new ServiceManager({ NOTIFY_SOCKET }).ready('x');
  });

  it('knows how often it is to be heard, if it is the one who is meant', () => {
    const watchdogMs = (more: NodeJS.ProcessEnv): number | undefined =>
      new ServiceManager({ NOTIFY_SOCKET: '/x', ...more }).watchdogMs;
    assert.equal(watchdogMs({ WATCHDOG_USEC: '60000000' }), 60_000);
    assert.equal(watchdogMs({ WATCHDOG_USEC: '60000000', WATCHDOG_PID: String(process.pid) }), 60_000);
    assert.equal(watchdogMs({ WATCHDOG_USEC: '60000000', WATCHDOG_PID: '1' }), undefined);
    assert.equal(watchdogMs({ WATCHDOG_USEC: 'soon' }), undefined);
    assert.equal(watchdogMs({}), undefined);
  });
});
