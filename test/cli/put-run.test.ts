import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../src/base/clock.ts';
import { CliError } from '../../src/cli/cli-error.ts';
import type { ImportItem, ImportRecord } from '../../src/cli/import-item.ts';
import {
  type PutRunPorts,
  type PutRunSettings,
  type PutTally,
  putRunDefaults,
  runPuts,
} from '../../src/cli/put-run.ts';
import { ClientError } from '../../src/client/client-error.ts';
import type { RecordReceipt } from '../../src/client/puts.ts';
import type { ClientRecord } from '../../src/client/record.ts';
import { ProtocolError } from '../../src/protocol/protocol-error.ts';

const settings: PutRunSettings = { ...putRunDefaults, valueBytesMax: 1 << 20 };
const oneByOne: PutRunSettings = { ...settings, batchRecordsMax: 1 };
/** Bytes that a record of `items` counts for beside its value. */
const overhead = 256 + 2;

interface Pending {
  readonly keys: readonly string[];
  settle(outcome: RecordReceipt['outcome']): void;
  fail(error: Error): void;
}

/** An archive whose receipts come when the test says so, and a clock whose timers fire when it says so. */
class HeldArchive implements PutRunPorts {
  readonly interruption = new AbortController();
  readonly interrupted = this.interruption.signal;
  readonly pending: Pending[] = [];
  readonly jobs: string[] = [];
  readonly problems: string[] = [];
  readonly archivedKeys: string[] = [];
  readonly timers: (() => void)[] = [];
  nowMs = 0;
  inFlightMost = 0;
  /** The test's turn: called when a batch arrives. */
  arrived: () => void = () => this.settleAll();
  /** Called when the run waits for a slow source. */
  waited: () => void = () => {};

  readonly clock: Clock = {
    wallMs: () => this.nowMs,
    monotonicMs: () => this.nowMs,
    after: (_delayMs, fire) => {
      this.timers.push(fire);
      this.waited();
      return { cancel: () => {} };
    },
  };

  put(records: readonly ClientRecord[]): Promise<readonly RecordReceipt[]> {
    const keys = records.map(({ key }) => key);
    this.jobs.push(keys.join(' '));
    const { promise, resolve, reject } = Promise.withResolvers<readonly RecordReceipt[]>();
    const settle = (outcome: RecordReceipt['outcome']): void =>
      resolve(keys.map((key) => ({ key, outcome, cursor: `0:${key}` })));
    this.pending.push({ keys, settle, fail: reject });
    this.inFlightMost = Math.max(this.inFlightMost, this.pending.length);
    this.arrived();
    return promise;
  }

  settleAll(): void {
    for (const pending of this.pending.splice(0)) pending.settle('stored');
  }

  problem(kind: string, where: string, reason: string): void {
    this.problems.push(`${kind} ${where}: ${reason}`);
  }

  archived(record: ImportRecord, receipt: RecordReceipt): void {
    assert.equal(receipt.key, record.key);
    this.archivedKeys.push(record.key);
  }

  step(): void {}
}

function record(key: string, size = 10, load = () => Promise.resolve(new Uint8Array(size))): ImportRecord {
  return { kind: 'record', where: key, key, size, part: false, load };
}

async function* items(count: number, size = 10): AsyncGenerator<ImportItem> {
  for (let n = 0; n < count; n++) yield record(`r${n}`, size);
}

async function* listed(...all: readonly ImportItem[]): AsyncGenerator<ImportItem> {
  yield* all;
}

function counts({ stored, unchanged, kept, failed, skipped, bytes }: PutTally) {
  return { stored, unchanged, kept, failed, skipped, bytes };
}

test('records travel in batches that pass neither their count nor their size, a large one alone', async () => {
  const byCount = new HeldArchive();
  await runPuts(items(5), { ...settings, batchRecordsMax: 2 }, byCount);
  assert.deepEqual(byCount.jobs, ['r0 r1', 'r2 r3', 'r4']);
  const bySize = new HeldArchive();
  const sized = listed(record('r0', 100), record('r1', 100), record('r2', 5000), record('r3', 100));
  await runPuts(sized, { ...settings, batchBytesMax: 2 * (100 + overhead) }, bySize);
  assert.deepEqual(bySize.jobs, ['r0 r1', 'r2', 'r3']);
});

test('receipts are counted by outcome, whatever their order', async () => {
  const archive = new HeldArchive();
  archive.arrived = () => {
    if (archive.pending.length < 4) return;
    archive.pending[3]?.settle('stored');
    archive.pending[0]?.settle('unchanged');
    archive.pending[2]?.settle('kept');
    archive.pending[1]?.settle('stored');
  };
  const tally = await runPuts(items(4), oneByOne, archive);
  assert.deepEqual(counts(tally), { stored: 2, unchanged: 1, kept: 1, failed: 0, skipped: 0, bytes: 40 });
  assert.deepEqual(archive.archivedKeys.sort(), ['r0', 'r1', 'r2', 'r3']);
});

test('no more batches and no more bytes are in flight than the limits say', async () => {
  for (const limits of [{ batchesInFlightMax: 3 }, { bytesInFlightMax: 3 * (5000 + overhead) }]) {
    const archive = new HeldArchive();
    archive.arrived = () => {
      if (archive.pending.length === 3) setImmediate(() => archive.settleAll());
    };
    const tally = await runPuts(items(9, 5000), { ...oneByOne, ...limits }, archive);
    assert.equal(tally.stored, 9);
    assert.equal(archive.inFlightMost, 3);
  }
});

test('a value larger than all the room goes alone', async () => {
  const archive = new HeldArchive();
  const tally = await runPuts(items(3, 5000), { ...settings, bytesInFlightMax: 100, batchBytesMax: 100 }, archive);
  assert.equal(tally.stored, 3);
  assert.equal(archive.inFlightMost, 1);
});

test('what cannot be read or is too large is told by name, and the rest of its batch is stored', async () => {
  const archive = new HeldArchive();
  const tally = await runPuts(
    listed(
      record('huge', 2000),
      record('gone', 10, () => Promise.reject(new RangeError('no such file'))),
      { kind: 'failed', where: 'line 3', reason: 'not JSON' },
      { kind: 'skipped', where: 'link', reason: 'not a regular file' },
      record('good'),
    ),
    { ...settings, valueBytesMax: 1000 },
    archive,
  );
  assert.deepEqual(counts(tally), { stored: 1, unchanged: 0, kept: 0, failed: 3, skipped: 1, bytes: 10 });
  assert.deepEqual(archive.problems.sort(), [
    'failed gone: no such file',
    'failed huge: 2000 bytes, a value has at most 1000 (limits.valueBytesMax)',
    'failed line 3: not JSON',
    'skipped link: not a regular file',
  ]);
});

test('a batch that is refused is put again record by record, so that only the bad one fails', async () => {
  for (const refusal of [
    new ClientError('refused', 'refused (key-exists): there already'),
    new ProtocolError('limit-exceeded', 'key: found 2000, the limit keyBytesMax is 1024'),
  ]) {
    const archive = new HeldArchive();
    archive.arrived = () => {
      for (const pending of archive.pending.splice(0)) {
        if (pending.keys.includes('r1')) pending.fail(refusal);
        else pending.settle('stored');
      }
    };
    const tally = await runPuts(items(3), settings, archive);
    assert.deepEqual(counts(tally), { stored: 2, unchanged: 0, kept: 0, failed: 1, skipped: 0, bytes: 20 });
    assert.deepEqual(archive.jobs, ['r0 r1 r2', 'r0', 'r1', 'r2']);
    assert.deepEqual(archive.problems, [`failed r1: ${refusal.message} (${refusal.code})`]);
    assert.equal(tally.stopped, undefined);
  }
});

test('a failure that is not one record’s stops the run and is told once', async () => {
  const archive = new HeldArchive();
  const lost = new ClientError('deadline', 'no answer within 60000 ms', { retriable: true });
  archive.arrived = () => {
    if (archive.jobs.length === 2) for (const pending of archive.pending.splice(0)) pending.fail(lost);
    else if (archive.jobs.length === 1) archive.settleAll();
  };
  const tally = await runPuts(items(1000), { ...oneByOne, batchesInFlightMax: 1 }, archive);
  assert.equal(tally.stopped, lost);
  assert.equal(tally.stored, 1);
  assert.equal(archive.jobs.length, 2);
  assert.deepEqual(archive.problems, []);
});

test('an interruption waits for what is in flight and takes nothing more', async () => {
  const archive = new HeldArchive();
  archive.arrived = () => {
    if (archive.jobs.length < 2) return;
    archive.interruption.abort();
    archive.settleAll();
  };
  const tally = await runPuts(items(1000), { ...oneByOne, batchesInFlightMax: 2 }, archive);
  assert.equal(tally.stored, 2);
  assert.equal(tally.stopped, undefined);
});

test('an interruption ends the wait for a source that says nothing', async () => {
  const archive = new HeldArchive();
  async function* silent(): AsyncGenerator<ImportItem> {
    setImmediate(() => archive.interruption.abort());
    await new Promise(() => {});
    yield record('never');
  }
  assert.equal((await runPuts(silent(), settings, archive)).stored, 0);
});

test('a record of a slow source does not wait for a full batch', async () => {
  const archive = new HeldArchive();
  const { promise: stored, resolve } = Promise.withResolvers<void>();
  archive.arrived = () => {
    archive.settleAll();
    resolve();
  };
  archive.waited = () => {
    if (archive.jobs.length === 0) setImmediate(() => archive.timers.map((fire) => fire()));
  };
  async function* slow(): AsyncGenerator<ImportItem> {
    yield record('first');
    await stored;
    yield record('second');
  }
  await runPuts(slow(), settings, archive);
  assert.deepEqual(archive.jobs, ['first', 'second']);
});

test('latencies run from the put to its receipt, for each record', async () => {
  const archive = new HeldArchive();
  archive.arrived = () => {
    archive.nowMs += 8;
    archive.settleAll();
  };
  const tally = await runPuts(items(3), settings, archive);
  assert.equal(tally.receiptLatencies.count, 3);
  assert.equal(tally.receiptLatencies.maxMs, 8);
});

test('records of one key keep their order: a batch waits for the one before it that has a key of its own', async () => {
  const archive = new HeldArchive();
  const inFlight: string[] = [];
  archive.arrived = () => {
    inFlight.push(archive.pending.map(({ keys }) => keys.join(' ')).join(', '));
    // When nothing more arrives, the last one to come is settled first.
    setImmediate(() => archive.pending.pop()?.settle('stored'));
  };
  const records = ['a', 'b', 'a', 'c'].map((key) => record(key));
  assert.equal((await runPuts(listed(...records), oneByOne, archive)).stored, 4);
  assert.deepEqual(archive.jobs, ['a', 'b', 'a', 'c']);
  assert.ok(!inFlight.some((keys) => /a.*a/.test(keys)), inFlight.join(' | '));
  assert.deepEqual(inFlight.slice(0, 2), ['a', 'a, b']);
});

test('each batch has a name, and a record that goes alone after a refusal its place in it', async () => {
  const names: string[] = [];
  const archive = new HeldArchive();
  const put = archive.put.bind(archive);
  const refusing: PutRunPorts = Object.assign(archive, {
    put: (records: readonly ClientRecord[], batch: string) => {
      names.push(`${batch}: ${records.length}`);
      const refusal = new ProtocolError('limit-exceeded', 'too much');
      return records.length > 1 ? Promise.reject(refusal) : put(records);
    },
  });
  await runPuts(items(3), { ...settings, batchRecordsMax: 2 }, refusing);
  assert.deepEqual(names.sort(), ['0.0: 1', '0.1: 1', '0: 2', '1: 1']);
});

test('without a linger a batch waits for its records however long the source takes', async () => {
  const archive = new HeldArchive();
  await runPuts(items(3), { ...settings, lingerMs: undefined }, archive);
  assert.deepEqual(archive.jobs, ['r0 r1 r2']);
  assert.deepEqual(archive.timers, []);
});

test('a source that is damaged stops the run, which says why; what stands before the damage is put', async () => {
  const damage = new CliError('unreadable-input', 'the end is missing');
  async function* damaged(): AsyncGenerator<ImportItem> {
    yield* items(3);
    throw damage;
  }
  const archive = new HeldArchive();
  const tally = await runPuts(damaged(), { ...settings, batchRecordsMax: 2 }, archive);
  assert.deepEqual(archive.jobs, ['r0 r1', 'r2']);
  assert.deepEqual([tally.stored, tally.stopped], [3, damage]);
});

test('without a linger the batch in which the damage is does not go: it would have another name when it is whole', async () => {
  async function* damaged(error: Error): AsyncGenerator<ImportItem> {
    yield* items(3);
    throw error;
  }
  const archive = new HeldArchive();
  const lasting = { ...settings, batchRecordsMax: 2, lingerMs: undefined };
  const tally = await runPuts(damaged(new CliError('unreadable-input', 'gone')), lasting, archive);
  assert.deepEqual([archive.jobs, tally.stored], [['r0 r1'], 2]);
  const mistake = new TypeError('a mistake of the program');
  await assert.rejects(runPuts(damaged(mistake), lasting, archive), mistake);
});
