/**
 * Brings jobs into the archive: the record of the end of each, and the index of their ids.
 *
 * A job that is larger than a value may be goes in parts; they are on disk before the record that names them. Record and
 * index of a job travel together. Doing all of it again, after a crash at any point, changes nothing that is there.
 */
import { hash } from 'node:crypto';
import { present } from '../base/assert.ts';
import { messageOf } from '../base/errors.ts';
import type { ClientRecord } from '../client/record.ts';
import { newestKey, partKey, recordKey } from './archive-key.ts';
import { decodeIndex, encodeIndex, encodeManifest, type JobIndex, withEnd } from './archived-job.ts';
import { encodeDocument } from './job-document.ts';
import type { JobSnapshot } from './job-snapshot.ts';
import { JobsError } from './jobs-error.ts';
import type { QueueAddress } from './queue-address.ts';
import { type ArchiveClient, isRefusal, RecordPutter } from './record-putter.ts';

/** What became of a job: it is on disk under these keys, or the archive does not take it. */
export type WriteOutcome =
  | {
      readonly kind: 'archived';
      readonly job: JobSnapshot;
      /** Each record that holds a piece of it, and the bytes of its value. */
      readonly records: readonly WrittenRecord[];
      readonly bytes: number;
      /** All of it was there before. */
      readonly unchanged: boolean;
    }
  | { readonly kind: 'refused'; readonly job: JobSnapshot; readonly message: string };

export interface WrittenRecord {
  readonly key: string;
  readonly size: number;
}

export interface WriterSettings {
  /** The archive's limit of a value. */
  readonly valueBytesMax: number;
  readonly signal?: AbortSignal | undefined;
}

/** Bytes of values that go in one put, and jobs: more gains nothing. */
const batchBytesMax = 128 * 1024;
const batchJobsMax = 100;
/** Bytes of each part of a job in parts. Its text may double as JSON, and must fit into a put all the same. */
const partBytesMax = 512 * 1024;

export class JobWriter {
  readonly #address: QueueAddress;
  readonly #client: ArchiveClient;
  readonly #putter: RecordPutter;
  readonly #settings: WriterSettings;

  constructor(address: QueueAddress, client: ArchiveClient, settings: WriterSettings) {
    this.#address = address;
    this.#client = client;
    this.#settings = settings;
    this.#putter = new RecordPutter(client, settings.signal);
  }

  /** Resolves when every job is on disk or refused. Errors: those of the client. */
  async write(jobs: readonly JobSnapshot[]): Promise<readonly WriteOutcome[]> {
    const indexes = await this.#indexes(jobs);
    const drafts: Draft[] = [];
    const refused: WriteOutcome[] = [];
    for (const [position, job] of jobs.entries()) {
      const index = present(indexes[position], 'an index');
      if (index instanceof Error) refused.push({ kind: 'refused', job, message: index.message });
      else drafts.push(new Draft(this.#address, job, index, this.#settings));
    }
    const outcomes = await Promise.all(batchesOf(drafts).map((batch) => this.#put(batch)));
    return [...refused, ...outcomes.flat()];
  }

  async #put(drafts: readonly Draft[]): Promise<readonly WriteOutcome[]> {
    const [first, ...others] = drafts;
    if (first === undefined) return [];
    try {
      for (const draft of drafts) await this.#putParts(draft);
      const receipts = await this.#putter.put(drafts.flatMap(({ records }) => records));
      const stored = new Set(receipts.filter(({ outcome }) => outcome === 'stored').map(({ key }) => key));
      return drafts.map((draft) => draft.archived(!draft.records.some(({ key }) => stored.has(key))));
    } catch (error) {
      if (!isRefusal(error)) throw error;
      if (others.length === 0) return [{ kind: 'refused', job: first.job, message: messageOf(error) }];
      // One of them is the reason: each by itself.
      const outcomes: WriteOutcome[] = [];
      for (const draft of drafts) outcomes.push(...(await this.#put([draft])));
      return outcomes;
    }
  }

  async #putParts({ parts }: Draft): Promise<void> {
    for (const part of parts) await this.#putter.put([part]);
  }

  /** The index of each job's id as it is now, or why it cannot be had. */
  async #indexes(jobs: readonly JobSnapshot[]): Promise<readonly (JobIndex | Error)[]> {
    const keys = jobs.map(({ id }) => newestKey(this.#address, id));
    const answers = await this.#client.lookupMany(keys, { signal: this.#settings.signal });
    return jobs.map(({ id }, position) => {
      const answer = present(answers[position], 'an answer');
      if (answer.outcome === 'missing') return { address: this.#address, id, finishedOn: [] };
      if (answer.outcome === 'found') return indexOrDamage(answer.value, this.#address, id);
      if (answer.error.retriable) throw answer.error;
      return answer.error;
    });
  }
}

function indexOrDamage(value: Buffer, address: QueueAddress, id: string): JobIndex | Error {
  try {
    return decodeIndex(value, address, id);
  } catch (error) {
    if (error instanceof JobsError) return error;
    throw error;
  }
}

/** Jobs that travel together, in their order. */
function batchesOf(drafts: readonly Draft[]): readonly (readonly Draft[])[] {
  const batches: Draft[][] = [];
  let room = 0;
  for (const draft of drafts) {
    const last = batches.at(-1);
    const fits = last !== undefined && last.length < batchJobsMax && room >= draft.bytes;
    if (fits) last.push(draft);
    else batches.push([draft]);
    room = (fits ? room : batchBytesMax) - draft.bytes;
  }
  return batches;
}

/** The records that a job becomes. */
class Draft {
  readonly job: JobSnapshot;
  /** To be on disk before the records. */
  readonly parts: readonly ClientRecord[];
  readonly records: readonly ClientRecord[];
  /** Bytes of the records' values. */
  readonly bytes: number;
  readonly #written: readonly WrittenRecord[];

  constructor(address: QueueAddress, job: JobSnapshot, index: JobIndex, settings: WriterSettings) {
    const { id, finishedOn } = job;
    const document = encodeDocument(address, job);
    const size = Buffer.byteLength(document);
    const key = recordKey(address, id, finishedOn);
    this.job = job;
    this.parts = size > settings.valueBytesMax ? partsOf(document, address, job, settings.valueBytesMax) : [];
    const value = this.parts.length === 0 ? document : manifestOf(document, address, job, this.parts.length);
    const now = withEnd(index, finishedOn);
    const indexRecord = { key: newestKey(address, id), value: encodeIndex(now) };
    this.records = [{ key, value }, ...(now === index ? [] : [indexRecord])];
    this.bytes = this.records.reduce((sum, record) => sum + Buffer.byteLength(record.value), 0);
    this.#written = [...this.parts, { key, value }, indexRecord].map(writtenOf);
  }

  archived(unchanged: boolean): WriteOutcome {
    const bytes = this.#written.reduce((sum, { size }) => sum + size, 0);
    return { kind: 'archived', job: this.job, records: this.#written, bytes, unchanged };
  }
}

function writtenOf({ key, value }: ClientRecord): WrittenRecord {
  return { key, size: Buffer.byteLength(value) };
}

function partsOf(document: string, address: QueueAddress, job: JobSnapshot, bytesMax: number): readonly ClientRecord[] {
  const bytes = Buffer.from(document);
  const partBytes = Math.min(bytesMax, partBytesMax);
  return Array.from({ length: Math.ceil(bytes.length / partBytes) }, (_, part) => ({
    key: partKey(address, job.id, job.finishedOn, part + 1),
    value: bytes.subarray(part * partBytes, (part + 1) * partBytes),
  }));
}

function manifestOf(document: string, address: QueueAddress, job: JobSnapshot, partCount: number): string {
  const { id, finishedOn, state } = job;
  const size = Buffer.byteLength(document);
  const end = { address, id, finishedOn };
  return encodeManifest({ end, state, partCount, size, sha256: hash('sha256', document) });
}
