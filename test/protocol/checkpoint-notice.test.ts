import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeCheckpointNotice, encodeCheckpointNotice } from '../../src/protocol/checkpoint-notice.ts';
import { assertRefused } from './protocol-assert.ts';

const checkpoint = Buffer.from('0000000000000137000000000000000300000000000a3f4000100000', 'hex');
const notice = { instance: 'a-1', epoch: 311, checkpoint, commit: 7, records: 0, time: 1_933_286_400_000 };

describe('a checkpoint notice', () => {
  it('survives being the fields of a hash', () => {
    assert.deepEqual(decodeCheckpointNotice(encodeCheckpointNotice(notice)), notice);
    const short = { ...notice, commit: undefined, records: undefined };
    assert.deepEqual(decodeCheckpointNotice(encodeCheckpointNotice(short)), short);
    assert.ok(Object.values(encodeCheckpointNotice(notice)).every((value) => typeof value === 'string'));
  });

  it('is not there where there are no fields', () => {
    assert.equal(decodeCheckpointNotice({}), undefined);
  });

  it('is refused for each field that is wrong', () => {
    const wire = encodeCheckpointNotice(notice);
    for (const [code, field, fields] of [
      ['missing-field', 'v', { epoch: '1' }],
      ['unsupported-version', 'v', { ...wire, v: '2' }],
      ['invalid-field', 'instance', { ...wire, instance: '../a' }],
      ['invalid-field', 'epoch', { ...wire, epoch: '311.0' }],
      ['invalid-field', 'epoch', { ...wire, epoch: '312' }],
      ['invalid-field', 'checkpoint', { ...wire, checkpoint: wire.checkpoint.slice(2) }],
      ['invalid-field', 'commit', { ...wire, commit: '-1' }],
      ['invalid-field', 'records', { ...wire, records: '9007199254740993' }],
      ['invalid-field', 'time', { ...wire, time: '' }],
    ] as const) {
      assertRefused(code, field, () => decodeCheckpointNotice(fields));
    }
  });
});
