/**
 * The rules of idempotence and of `ifExists`, once more and as plainly as can be: puts are decided one after the other
 * in the order in which the shard took them, each against everything that was stored before it.
 */
import assert from 'node:assert/strict';
import type { PutOutcome, PutRecord, PutRequest, PutResult } from '../../src/shard/put-request.ts';

export interface Version {
  readonly putId: string;
  readonly recordIndex: number;
  readonly key: string;
  readonly text: string;
  /** Known as soon as some put that rests on it has resolved. */
  cursor: Buffer | undefined;
}

export interface Expected {
  readonly outcome: PutOutcome;
  readonly on: Version;
}

export class ConflictModel {
  /** All that is stored, oldest first. */
  versions: Version[] = [];
  readonly #byKey = new Map<string, Version[]>();

  /** What the put comes to; undefined when it is refused as a whole. */
  decide(request: PutRequest): readonly Expected[] | undefined {
    const before = this.versions.length;
    const expected: Expected[] = [];
    for (const [index, record] of request.records.entries()) {
      const one = this.#decideRecord(request, record, index);
      if (one === undefined) {
        this.#forget(before);
        return undefined;
      }
      expected.push(one);
    }
    return expected;
  }

  newestOf(key: string): Version | undefined {
    return this.#byKey.get(key)?.at(-1);
  }

  /** Compares what a put resolved with, and learns where its records are. */
  judge(expected: readonly Expected[], result: PutResult): void {
    assert.equal(result.records.length, expected.length);
    for (const [index, { outcome, on }] of expected.entries()) {
      const record = result.records[index];
      const name = `${on.putId}/${on.recordIndex} of ${on.key}`;
      assert.equal(record?.outcome, outcome, name);
      on.cursor ??= record.cursor;
      assert.deepEqual(record.cursor, on.cursor, `the outcome rests on ${name}`);
    }
  }

  add(version: Version): Version {
    this.versions.push(version);
    const versions = this.#byKey.get(version.key);
    if (versions === undefined) this.#byKey.set(version.key, [version]);
    else versions.push(version);
    return version;
  }

  #decideRecord(request: PutRequest, record: PutRecord, recordIndex: number): Expected | undefined {
    const { putId } = request;
    const versions = this.#byKey.get(record.key) ?? [];
    const own = versions.find((version) => version.putId === putId && version.recordIndex === recordIndex);
    if (request.redelivered && own !== undefined) return { outcome: 'unchanged', on: own };
    const newest = versions.at(-1);
    const text = record.payload.toString();
    if (newest !== undefined) {
      if (request.ifExists === 'reject') return undefined;
      if (request.ifExists === 'keep') return { outcome: 'kept', on: newest };
      if (request.ifExists === 'skip-same' && newest.text === text) return { outcome: 'unchanged', on: newest };
    }
    return { outcome: 'stored', on: this.add({ putId, recordIndex, key: record.key, text, cursor: undefined }) };
  }

  #forget(before: number): void {
    for (const { key } of this.versions.splice(before)) this.#byKey.get(key)?.pop();
  }
}
