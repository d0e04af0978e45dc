import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest, parseInvocation } from '../../src/cli/arguments.ts';
import { defineCommand, UsageError } from '../../src/cli/command.ts';

const sample = defineCommand({
  name: 'sample',
  summary: 'shows parsing',
  description: 'Shows parsing.',
  operands: {
    key: { summary: 'what to keep', required: true },
    value: { summary: 'its bytes', required: false },
  },
  options: {
    json: { kind: 'flag', summary: 'for machines' },
    file: { kind: 'text', placeholder: 'path', short: 'f', summary: 'where' },
    limit: { kind: 'count', placeholder: 'n', min: 1, max: 10, default: 4, summary: 'how many' },
    mode: { kind: 'choice', choices: ['fast', 'safe'], default: 'safe', summary: 'how' },
  },
  examples: [],
  run: () => Promise.resolve(0),
});

function run(...words: string[]) {
  const parsed = parseInvocation(sample, words);
  assert.equal(parsed.kind, 'run');
  return parsed.kind === 'run' ? parsed : assert.fail();
}

function refusal(...words: string[]): UsageError {
  try {
    parseInvocation(sample, words);
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error));
    return error;
  }
  assert.fail('was accepted');
}

test('operands and options are typed by the tables, defaults included', () => {
  const { operands, options } = run('order/17', '--limit', '7', '-f', 'a.txt', '--json');
  assert.deepEqual(operands, { key: 'order/17', value: undefined });
  assert.deepEqual(options, { json: true, file: 'a.txt', limit: 7, mode: 'safe' });
  const limit: number = options.limit;
  const mode: 'fast' | 'safe' = options.mode;
  assert.deepEqual([limit, mode], [7, 'safe']);
});

test('options may stand before, between and behind operands, and -- ends them', () => {
  assert.equal(run('--mode=fast', 'a', 'b').options.mode, 'fast');
  assert.deepEqual(run('a', '--', '--json').operands, { key: 'a', value: '--json' });
  assert.equal(run('-').operands.key, '-');
});

test('an unknown option is refused and the close one is named', () => {
  const error = refusal('a', '--limt', '7');
  assert.equal(error.code, 'unknown-option');
  assert.equal(error.message, 'unknown option --limt; did you mean --limit?');
  assert.equal(refusal('a', '-x').message, 'unknown option -x');
});

test('a count out of its range, a word for a count and an unknown choice are refused with what is right', () => {
  assert.match(refusal('a', '--limit', '11').message, /--limit must be a whole number from 1 to 10, not '11'/);
  assert.equal(refusal('a', '--limit', '1e1').code, 'invalid-option');
  assert.equal(refusal('a', '--limit', '').code, 'invalid-option');
  assert.match(refusal('a', '--mode', 'slow').message, /one of fast, safe, not 'slow'/);
});

test('an option without its value and a flag with one are refused', () => {
  assert.equal(refusal('a', '--file').code, 'invalid-option');
  assert.equal(refusal('a', '--json=yes').code, 'invalid-option');
});

test('a missing operand and one too many are refused by name', () => {
  assert.equal(refusal().message, '<key> is missing: what to keep');
  assert.equal(refusal('a', 'b', 'c').message, "unexpected argument 'c'");
});

test('--help wins over what is missing', () => {
  assert.equal(parseInvocation(sample, ['--help']).kind, 'help');
  assert.equal(parseInvocation(sample, ['-h', '--json']).kind, 'help');
});

test('the nearest name is a likely one or none', () => {
  assert.equal(nearest('inspct', ['import', 'inspect']), 'inspect');
  assert.equal(nearest('gte', ['put', 'get']), 'get');
  assert.equal(nearest('frobnicate', ['put', 'get']), undefined);
});
