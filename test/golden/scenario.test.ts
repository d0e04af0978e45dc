import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseScenario } from '../../tools/golden/scenario.ts';

const settings = 'settings page=64 init=4 freq=4 chunk=4 target=100 keylen=2 wbuf=256 comp=0';
const checkpointHex = '0000000000000007000000000000000300000000000009d800010000';

function scenario(...lines: string[]): string {
  return [settings, ...lines].join('\n');
}

test('a scenario gives its settings, operations and the lines that they must produce', () => {
  const parsed = parseScenario(`# a comment\n\n${scenario('open none', '> ok', 'put 0a0b', '> cursor 00', 'files')}\n`);
  assert.deepEqual(parsed.settings, {
    page: 64,
    init: 4,
    freq: 4,
    chunk: 4,
    target: 100,
    keylen: 2,
    wbuf: 256,
    comp: 0,
  });
  assert.deepEqual(parsed.steps, [
    { line: 4, text: 'open none', operation: { kind: 'open', checkpoint: undefined }, expected: ['ok'] },
    {
      line: 6,
      text: 'put 0a0b',
      operation: { kind: 'put', key: Buffer.from('0a0b', 'hex'), value: Buffer.alloc(0) },
      expected: ['cursor 00'],
    },
    { line: 8, text: 'files', operation: { kind: 'files' }, expected: [] },
  ]);
});

test('a checkpoint to open with is decoded', () => {
  const [step] = parseScenario(scenario(`open ${checkpointHex}`)).steps;
  assert.deepEqual(step?.operation, {
    kind: 'open',
    checkpoint: { epoch: 7, section: 3, keyBytes: 2520, tableSize: 65536 },
  });
});

test('lines may end as on Windows', () => {
  assert.equal(parseScenario(scenario('sync', '> checkpoint 00').replaceAll('\n', '\r\n')).steps.length, 1);
});

const malformed: readonly (readonly [name: string, text: string, message: RegExp])[] = [
  ['a text without settings', 'open none\n> ok', /no line of settings/],
  ['a setting that is missing', `${settings.replace('freq=4 ', '')}\nsync`, /line 1: setting freq/],
  ['a setting that is unknown', `${settings} colour=3\nsync`, /line 1: unknown setting colour/],
  ['a setting that is given twice', `${settings} page=3\nsync`, /line 1: setting page twice/],
  ['a setting that is no number', `${settings.replace('page=64', 'page=big')}\nsync`, /line 1: setting page/],
  ['no operation', settings, /no operation/],
  ['an unknown operation', scenario('sync', 'erase'), /line 3: unknown operation "erase"/],
  ['an expected line before any operation', scenario('> ok'), /line 2: an expected line before/],
  ['a key of another size', scenario('get 0a'), /line 2: a key has 2 bytes, found 1/],
  ['hex with an odd digit', scenario('put 0a0b 123'), /line 2: value is no lower-case hex/],
  ['a checkpoint that is too short', scenario('open 00'), /line 2: a checkpoint has 28 bytes, found 1/],
  ['an unknown survival', scenario('crash gently'), /line 2: unknown survival "gently"/],
  ['a word too many', scenario('sync now'), /line 2: sync takes at most 0 words/],
];

for (const [name, text, message] of malformed) {
  test(`${name} is refused with its line`, () => {
    assert.throws(() => parseScenario(text), message);
  });
}
