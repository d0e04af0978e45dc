import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decideStart, type PublishedCheckpoint, type VolumeState } from '../../src/shard/start-up.ts';

const us = '11111111-1111-4111-8111-111111111111';
const others = '22222222-2222-4222-8222-222222222222';
const empty: VolumeState = { kind: 'empty' };
const unfinished: VolumeState = { kind: 'unfinished', instance: us };
const orphaned: VolumeState = { kind: 'orphaned', present: ['key', 'value'], missing: 'checkpoint' };
const halfSalvaged: VolumeState = { kind: 'half-salvaged' };
const local: VolumeState = { kind: 'whole', instance: us, epoch: 7 };

interface Row {
  readonly name: string;
  readonly volume: VolumeState;
  readonly published: PublishedCheckpoint | undefined;
  /** The action, or the code of the refusal. */
  readonly outcome: string;
  /** With `--trust-volume`. */
  readonly trusted: string;
}

const rows: readonly Row[] = [
  {
    name: 'an empty directory that Redis knows nothing of is created',
    volume: empty,
    published: undefined,
    outcome: 'create',
    trusted: 'create',
  },
  {
    name: 'an interrupted creation is begun anew',
    volume: unfinished,
    published: undefined,
    outcome: 'recreate',
    trusted: 'recreate',
  },
  { name: 'epoch L opens when Redis was lost', volume: local, published: undefined, outcome: 'open', trusted: 'open' },
  {
    name: 'epoch L opens when Redis is behind',
    volume: local,
    published: { instance: us, epoch: 6 },
    outcome: 'open',
    trusted: 'open',
  },
  {
    name: 'epoch L opens when Redis is at L',
    volume: local,
    published: { instance: us, epoch: 7 },
    outcome: 'open',
    trusted: 'open',
  },
  {
    name: 'a volume that was rolled back is refused',
    volume: local,
    published: { instance: us, epoch: 8 },
    outcome: 'volume-rolled-back',
    trusted: 'open',
  },
  {
    name: 'an interrupted creation that Redis knows more of is refused',
    volume: unfinished,
    published: { instance: us, epoch: 1 },
    outcome: 'volume-rolled-back',
    trusted: 'recreate',
  },
  {
    name: 'an empty directory that Redis knows is refused',
    volume: empty,
    published: { instance: us, epoch: 1 },
    outcome: 'volume-empty',
    trusted: 'create',
  },
  {
    name: 'another instance is refused, older',
    volume: local,
    published: { instance: others, epoch: 3 },
    outcome: 'volume-foreign',
    trusted: 'open',
  },
  {
    name: 'another instance is refused, newer',
    volume: local,
    published: { instance: others, epoch: 9 },
    outcome: 'volume-foreign',
    trusted: 'open',
  },
  {
    name: 'files without a checkpoint are refused',
    volume: orphaned,
    published: undefined,
    outcome: 'checkpoint-missing',
    trusted: 'checkpoint-missing',
  },
  {
    name: 'files without a checkpoint are refused whatever Redis says',
    volume: orphaned,
    published: { instance: us, epoch: 1 },
    outcome: 'checkpoint-missing',
    trusted: 'checkpoint-missing',
  },
  {
    name: 'the copy of an interrupted salvage is refused',
    volume: halfSalvaged,
    published: undefined,
    outcome: 'checkpoint-missing',
    trusted: 'checkpoint-missing',
  },
];

function outcomeOf(row: Row, trustVolume: boolean): string {
  try {
    return decideStart(row.volume, row.published, { trustVolume }).kind;
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    const trustHelps = row.volume.kind !== 'orphaned' && row.volume.kind !== 'half-salvaged';
    assert.match(message, trustHelps ? /--trust-volume/ : /permafrost salvage/);
    assert.match(message, /nothing was changed/);
    return code;
  }
}

describe('the start-up table', () => {
  for (const row of rows) {
    test(row.name, () => {
      assert.equal(outcomeOf(row, false), row.outcome);
      assert.equal(outcomeOf(row, true), row.trusted);
    });
  }

  test('a refusal says what was found and what was expected', () => {
    assert.throws(() => decideStart(local, { instance: us, epoch: 8 }, { trustVolume: false }), {
      details: { foundEpoch: 7, expectedEpoch: 8 },
    });
    assert.throws(() => decideStart(local, { instance: others, epoch: 8 }, { trustVolume: false }), {
      details: { foundInstance: us, expectedInstance: others },
    });
  });
});
