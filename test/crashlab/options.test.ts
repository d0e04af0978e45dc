import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseOptions, replayCommand, secondsDefault, UsageError, usage } from '../../crashlab/options.ts';
import { experiment } from './fake-experiments.ts';

const catalogue = [
  experiment('torn', { family: 'simulated' }),
  experiment('lost', { family: 'simulated' }),
  experiment('killed', { family: 'process' }),
  experiment('flushed', { family: 'redis' }),
];

function namesOf(...words: string[]): readonly string[] {
  return parseOptions(words, catalogue).experiments.map(({ name }) => name);
}

describe('the options of the lab', () => {
  test('are all experiments for a minute when none is given', () => {
    assert.deepEqual(parseOptions([], catalogue), {
      wish: 'run',
      seconds: secondsDefault,
      rounds: undefined,
      seed: undefined,
      path: undefined,
      json: false,
      experiments: catalogue,
    });
  });

  test('set no limit of time when they set a number of rounds', () => {
    const { seconds, rounds } = parseOptions(['--rounds', '3'], catalogue);
    assert.deepEqual({ seconds, rounds }, { seconds: undefined, rounds: 3 });
    assert.equal(parseOptions(['--rounds', '3', '--seconds', '5'], catalogue).seconds, 5);
  });

  test('choose by family, by name, and by both', () => {
    assert.deepEqual(namesOf('--only', 'simulated'), ['torn', 'lost']);
    assert.deepEqual(namesOf('--only', 'redis,process'), ['killed', 'flushed']);
    assert.deepEqual(namesOf('--fault', 'lost,killed'), ['lost', 'killed']);
    assert.deepEqual(namesOf('--fault', 'lost,killed', '--only', 'process'), ['killed']);
    assert.deepEqual(namesOf('--only', 'redis', '--only', 'process'), ['killed', 'flushed']);
    assert.deepEqual(namesOf('--fault', 'lost', '--fault', 'killed'), ['lost', 'killed']);
  });

  test('take the greatest seed, and the words for help and list', () => {
    assert.equal(parseOptions(['--seed', '4294967295'], catalogue).seed, 0xffff_ffff);
    assert.equal(parseOptions(['-h'], catalogue).wish, 'help');
    assert.equal(parseOptions(['--list'], catalogue).wish, 'list');
    assert.equal(parseOptions(['--json'], catalogue).json, true);
  });

  const refused: readonly [readonly string[], RegExp][] = [
    [['--seed', '4294967296'], /--seed takes a whole number from 0 to 4294967295, not '4294967296'/],
    [['--seed', '-1'], /--seed/],
    [['--seconds', '0'], /--seconds takes a whole number from 1/],
    [['--seconds', '1.5'], /not '1.5'/],
    [['--rounds', 'many'], /--rounds/],
    [['--only', 'simulated,disk'], /--only knows simulated, process, redis, surgery, payload, not 'disk'/],
    [['--fault', 'gone'], /there is no experiment 'gone': --list shows them/],
    [['--fault', 'torn', '--only', 'redis'], /no experiment is of both/],
    [['--path', '1/all'], /--path .* name it with --fault/],
    [['--path', '1/all', '--fault', 'killed'], /--path/],
    [['--seed', '1', '--seed', '2'], /--seed is given twice/],
    [['--loud'], /--loud/],
    [['simulated'], /simulated/],
  ];
  for (const [words, message] of refused) {
    test(`refuse ${words.join(' ')}`, () => {
      assert.throws(
        () => parseOptions(words, catalogue),
        (error) => error instanceof UsageError && message.test(error.message),
      );
    });
  }

  test('say how a program gets the document and nothing else', () => {
    assert.match(usage, /--json .*\n?.*npm run --silent crashlab/);
  });

  test('understand the command that repeats a violation', () => {
    const command = replayCommand('torn', 17, '3/random-1,9/all');
    assert.equal(command, "npm run crashlab -- --fault torn --seed 17 --path '3/random-1,9/all' --rounds 1");
    const words = command.replaceAll("'", '').split(' ').slice(4);
    const { experiments, seed, path, rounds, seconds } = parseOptions(words, catalogue);
    assert.deepEqual(
      { names: experiments.map(({ name }) => name), seed, path, rounds, seconds },
      { names: ['torn'], seed: 17, path: '3/random-1,9/all', rounds: 1, seconds: undefined },
    );
  });
});
