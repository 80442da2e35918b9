import assert from 'node:assert/strict';

import {
  parseAmount,
  parseArguments,
  parseChoice,
  parseCount,
  parseDuration,
} from '../../wrapper/cli/arguments.js';
import { UsageError } from '../../wrapper/cli/usage-error.js';

const kinds = { 'max-bytes': 'value', config: 'value', quiet: 'flag' } as const;

const refused = (reason: RegExp) => (error: Error) => {
  assert.ok(error instanceof UsageError, error.stack);
  assert.match(error.message, reason);
  return true;
};

describe('arguments of stowage', () => {
  it('takes options anywhere, values with and without "=", and the last of two', () => {
    assert.deepEqual(
      parseArguments(['a', '--quiet', '--config', 'x', '--max-bytes=1', 'b', '--config=y=z'], kinds),
      { options: { quiet: true, config: 'y=z', 'max-bytes': '1' }, operands: ['a', 'b'] },
    );
  });

  it('takes all as operands behind "--", and a lone "-" too', () => {
    assert.deepEqual(parseArguments(['-', '--', '--quiet', '-x'], kinds), {
      options: {},
      operands: ['-', '--quiet', '-x'],
    });
  });

  for (const [args, reason] of [
    [['--max-byte=1'], /^there is no option "--max-byte"; did you mean --max-bytes\?$/],
    [['--utterly-different'], /^there is no option "--utterly-different"$/],
    [['-q'], /^there is no option "-q"/],
    [['--constructor'], /^there is no option "--constructor"/],
    [['--\u001b[31m'], /^there is no option "--\\u001b\[31m"/],
    [['--quiet=yes'], /^--quiet takes no value$/],
    [['--config'], /^--config needs a value; write --config=VALUE$/],
    [['--config', '--quiet'], /^--config needs a value/],
  ] as const) {
    it(`refuses ${JSON.stringify(args)}`, () => {
      assert.throws(() => parseArguments(args, kinds), refused(reason));
    });
  }

  it('reads amounts with and without a unit', () => {
    const amounts = ['1', '500000', '20K', '3M', '2G', '1T'].map((text) => parseAmount('--max-bytes', text));
    assert.deepEqual(amounts, [1, 500_000, 20 * 1024, 3 * 1024 ** 2, 2 * 1024 ** 3, 1024 ** 4]);
  });

  for (const text of [
    '',
    '0',
    '0K',
    '-1',
    '1.5G',
    '1e9',
    '10 G',
    '10g',
    '10GB',
    'G',
    '9007199254740992',
    '9000T',
  ]) {
    it(`refuses ${JSON.stringify(text)} as an amount`, () => {
      assert.throws(
        () => parseAmount('--max-bytes', text),
        refused(/^--max-bytes wants a whole number from 1 on/),
      );
    });
  }

  it('reads counts up to the most there may be', () => {
    assert.deepEqual(
      ['1', '007', '900'].map((text) => parseCount('--max-depth', text, 900)),
      [1, 7, 900],
    );
  });

  for (const text of ['', '0', '901', '-1', '1K', '1.5', ' 1', '0x10']) {
    it(`refuses ${JSON.stringify(text)} as a count`, () => {
      assert.throws(
        () => parseCount('--max-depth', text, 900),
        refused(/^--max-depth wants a whole number from 1 to 900, not "/),
      );
    });
  }

  it('reads durations', () => {
    const durations = ['0d', '90s', '5m', '12h', '30d', '8w'].map((text) =>
      parseDuration('--unused-for', text),
    );
    assert.deepEqual(durations, [0, 90, 300, 43_200, 2_592_000, 4_838_400]);
  });

  for (const text of ['', '30', 'd', '-1d', '1.5h', '1y', '30D', '1d12h', '9999999999d']) {
    it(`refuses a duration: ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => parseDuration('--unused-for', text),
        refused(/^--unused-for wants a number with s, m, /),
      );
    });
  }

  it('takes one of a few words', () => {
    assert.equal(parseChoice('--pull', 'never', ['always', 'never']), 'never');
    assert.throws(
      () => parseChoice('--pull', 'Never', ['always', 'never']),
      refused(/^--pull wants one of always, never, not "Never"$/),
    );
  });
});
