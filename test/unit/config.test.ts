import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { loadConfig, parseConfigFile } from '../../wrapper/config/load.js';
import { StowageError } from '../../wrapper/error.js';

const refuses = (text: string, reason: RegExp): void => {
  assert.throws(
    () => parseConfigFile(text, '/etc/stowage/stowage.toml'),
    (error: StowageError) => {
      assert.equal(error.code, 'config-invalid');
      assert.match(error.message, /^configuration \/etc\/stowage\/stowage\.toml: /);
      assert.match(error.message, reason);
      return true;
    },
  );
};

describe('configuration', () => {
  it('is complete when the file is empty', () => {
    const config = parseConfigFile('', 'x');
    assert.equal(config.mode, 'service');
    assert.equal(config.listen.socket, '/run/stowaged/api.sock');
    assert.equal(config.resolve.ttlMs, 300_000);
    assert.equal(config.download.parallelLayers, 4);
  });

  it('knows a registry by one name, however it is spelled', () => {
    const { registries } = parseConfigFile('[registries."Registry.Example.org:443"]\nblocked = true', 'x');
    assert.equal(registries['registry.example.org']?.blocked, true);
    refuses(
      '[registries."registry.example.org:443"]\n[registries."registry.example.org"]\nblocked = true',
      /are the same registry/,
    );
  });

  it('takes what the file says, in its units', () => {
    const config = parseConfigFile(
      `mode = "single-user"
       [resolve]
       ttl_seconds = 5
       [registries."Localhost:5000"]
       http = true
       [[mounts]]
       source = "/scratch"
       read_only = true`,
      'x',
    );
    assert.equal(config.mode, 'single-user');
    assert.equal(config.resolve.ttlMs, 5000);
    assert.equal(config.registries['localhost:5000']?.http, true);
    assert.deepEqual(config.mounts, [
      { source: '/scratch', target: '/scratch', readOnly: true, optional: false },
    ]);
  });

  it('is right in the example that is shipped, which shows the defaults', () => {
    assert.doesNotThrow(() => loadConfig('slurm-conf-examples/stowage.toml'));
    const everything = readFileSync('slurm-conf-examples/stowage.toml', 'utf8').replaceAll(
      /^# (?=[a-z_]+ = |\[)/gm,
      '',
    );
    const { mounts: _mounts, registries: _registries, ...shown } = parseConfigFile(everything, 'x');
    const { mounts, registries, ...defaults } = parseConfigFile('', 'x');
    assert.deepEqual([mounts, registries, defaults.shortNames.aliases], [[], {}, {}]);
    assert.equal(shown.shortNames.aliases['pytorch'], 'registry.example.org/ai/pytorch');
    assert.deepEqual({ ...shown, shortNames: { ...shown.shortNames, aliases: {} } }, defaults);
  });

  it('names the file that cannot be read', () => {
    assert.throws(
      () => loadConfig('/nonexistent/stowage.toml'),
      /\/nonexistent\/stowage\.toml cannot be read/,
    );
  });

  const wrong: [string, string, RegExp][] = [
    [
      'an unknown key',
      '[resolve]\nttl_second = 5',
      /unknown key "ttl_second" in \[resolve\]; did you mean "ttl_seconds"\?/,
    ],
    ['an unknown section', '[stor]', /unknown key "stor"; did you mean "store"\?/],
    ['a key like no other', 'zzzzzzzz = 1', /unknown key "zzzzzzzz"; known are mode, listen/],
    ['an unknown mode', 'mode = "root"', /mode must be one of service, single-user/],
    [
      'a number that is too large',
      '[download]\nparallel_layers = 99',
      /download\.parallel_layers must be at most 16/,
    ],
    [
      'more depth than stowage-unpack takes',
      '[budget]\nmax_depth = 901',
      /budget\.max_depth must be at most 900/,
    ],
    ['a string for a number', '[download]\nretries = "5"', /download\.retries must be a whole number/],
    ['a relative path', '[store]\ndirectory = "cache"', /store\.directory must be an absolute path/],
    [
      'a path that climbs',
      '[store]\ndirectory = "/var/../x"',
      /store\.directory must be an absolute path without/,
    ],
    ['a socket path over 107 bytes', `[listen]\nsocket = "/${'x'.repeat(107)}"`, /108 bytes.*107/],
    ['one path for both sockets', '[listen]\nsocket = "/a"\nblob_socket = "/a"', /must differ/],
    [
      'a mount over /proc',
      '[[mounts]]\nsource = "/a"\ntarget = "/proc/x"',
      /cannot be "\/", or below \/proc/,
    ],
    ['a mount over everything', '[[mounts]]\nsource = "/"', /cannot be "\/"/],
    [
      'an alias with a registry',
      '[short_names.aliases]\n"quay.io/x" = "quay.io/y"',
      /short_names\.aliases\."quay\.io\/x" is no short name/,
    ],
    ['an alias with a tag', '[short_names.aliases]\n"x:1" = "quay.io/y"', /"x:1" is no short name/],
    ['an alias for an alias', '[short_names.aliases]\na = "b"\nb = "quay.io/b"', /"a" must be a full name/],
    ['an alias for no name', '[short_names.aliases]\na = "quay.io/B"', /"a": image .* lower case/],
    [
      'an alias for a digest',
      `[short_names.aliases]\na = "quay.io/b@sha256:${'a'.repeat(64)}"`,
      /must not hold a digest/,
    ],
    [
      'a pattern for nothing',
      '[policy]\nallow = ["*", "ubuntu"]',
      /policy\.allow\.1 "ubuntu" matches no image/,
    ],
    [
      'a mirror with a scheme',
      '[registries."docker.io"]\nmirrors = ["https://mirror.example.org"]',
      /registries\."docker\.io"\.mirrors\.0 must be "host/,
    ],
    [
      'a token service without a scheme',
      '[registries."docker.io"]\ntoken_realms = ["auth.example.org"]',
      /registries\."docker\.io"\.token_realms\.0 must be "https:\/\/host"/,
    ],
    [
      'a registry without quotes',
      '[registries.docker.io]\nhttp = true',
      /belongs in quotes, as in \[registries\."registry\.example\.org"\], not \[registries\.docker\.io\]/,
    ],
    [
      'a wrong value for a registry',
      '[registries."docker.io"]\nhttp = "yes"',
      /: registries\."docker\.io"\.http must be true or false$/,
    ],
    ['a text for a list', '[policy]\nallow = "docker.io/*"', /policy\.allow must be a list, as in/],
    ['a mount of nothing', '[[mounts]]\ntarget = "/x"', /mounts\.0 lacks "source"/],
    ['a port that is none', '[metrics]\nlisten = "127.0.0.1:99999"', /from 1 to 65535, not 99999/],
    ['broken TOML', 'mode = ', /line 1: /],
  ];
  for (const [what, text, reason] of wrong) it(`refuses ${what}`, () => refuses(text, reason));
});
