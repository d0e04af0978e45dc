import { hash } from 'node:crypto';
import { messageOf } from '../base/errors.ts';
import { documentVersion } from './job-document.ts';
import { JobsError } from './jobs-error.ts';
import { type FinishedState, finishedStates, type QueueAddress } from './queue-address.ts';

/** Which job, and which of its ends. */
export interface JobEnd {
  readonly address: QueueAddress;
  readonly id: string;
  readonly finishedOn: number;
}

/** The ends of jobs with one id that the archive knows, the newest first. */
export interface JobIndex {
  readonly address: QueueAddress;
  readonly id: string;
  readonly finishedOn: readonly number[];
}

/** What stands in place of a job that is larger than a value may be. */
export interface JobManifest {
  readonly end: JobEnd;
  readonly state: FinishedState;
  readonly partCount: number;
  /** Of the whole document. */
  readonly size: number;
  readonly sha256: string;
}

/** Ends that an index names at most; older ones are still found by their time. */
export const indexedCountMax = 100;

/** The index with one end more. The same index if it has it already, or has only newer ones. */
export function withEnd(index: JobIndex, finishedOn: number): JobIndex {
  if (index.finishedOn.includes(finishedOn)) return index;
  const all = [...index.finishedOn, finishedOn].sort((left, right) => right - left).slice(0, indexedCountMax);
  return all.includes(finishedOn) ? { ...index, finishedOn: all } : index;
}

export function encodeIndex({ address, id, finishedOn }: JobIndex): string {
  const { prefix, queue } = address;
  return JSON.stringify({ v: documentVersion, kind: 'bullmq-job-index', prefix, queue, id, finishedOn });
}

/** Errors: JobsError `damaged-record` if it is not the index of this job. */
export function decodeIndex(value: Buffer, address: QueueAddress, id: string): JobIndex {
  const found = membersOf(value, address, id, 'bullmq-job-index');
  const { finishedOn } = found;
  if (!Array.isArray(finishedOn) || !finishedOn.every((time) => Number.isFinite(time)))
    throw damaged('its index names no times');
  return { address, id, finishedOn };
}

export function encodeManifest({ end, state, partCount, size, sha256 }: JobManifest): string {
  const { address, id, finishedOn } = end;
  const { prefix, queue } = address;
  const kind = 'bullmq-job-parts';
  return JSON.stringify({ v: documentVersion, kind, prefix, queue, id, state, finishedOn, partCount, size, sha256 });
}

/** What is filed under the key of an end of a job: the document, or the way to it. */
export type JobRecord =
  | { readonly kind: 'document'; readonly state: FinishedState; readonly document: string }
  | { readonly kind: 'parts'; readonly manifest: JobManifest };

/** Errors: JobsError `damaged-record` if it is another job's, or none. */
export function decodeRecord(value: Buffer, end: JobEnd): JobRecord {
  const found = membersOf(value, end.address, end.id, 'bullmq-job', 'bullmq-job-parts');
  const { kind, state, finishedOn, partCount, size, sha256 } = found;
  const known = finishedStates.find((each) => each === state);
  if (known === undefined || finishedOn !== end.finishedOn) throw damaged('it is of another end of the job');
  if (kind === 'bullmq-job') return { kind: 'document', state: known, document: value.toString() };
  if (typeof partCount !== 'number' || typeof size !== 'number' || typeof sha256 !== 'string')
    throw damaged('it does not say what its parts are');
  return { kind: 'parts', manifest: { end, state: known, partCount, size, sha256 } };
}

/** The document that the parts make. Errors: JobsError `damaged-record`. */
export function joinParts(parts: readonly Buffer[], { size, sha256 }: JobManifest): string {
  const bytes = Buffer.concat(parts);
  if (bytes.length !== size || hash('sha256', bytes) !== sha256) throw damaged('its parts do not make the whole');
  return bytes.toString();
}

export function damaged(what: string, cause?: unknown): JobsError {
  return new JobsError('damaged-record', `the record of the job: ${what}`, { cause });
}

function membersOf(
  value: Buffer,
  { prefix, queue }: QueueAddress,
  id: string,
  ...kinds: readonly string[]
): Readonly<Record<string, unknown>> {
  const found = parsed(value);
  if (found.v !== documentVersion || !kinds.some((kind) => kind === found.kind))
    throw damaged('it is not what this version writes');
  if (found.prefix !== prefix || found.queue !== queue || found.id !== id) throw damaged('it is of another job');
  return found;
}

function parsed(value: Buffer): Readonly<Record<string, unknown>> {
  try {
    const found: unknown = JSON.parse(value.toString());
    if (typeof found === 'object' && found !== null) return { ...found };
  } catch (error) {
    throw damaged(messageOf(error), error);
  }
  throw damaged('it is not a JSON object');
}
