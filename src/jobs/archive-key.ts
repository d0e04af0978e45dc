/**
 * Under which keys the archive holds jobs.
 *
 *     bull:<prefix>:<queue>:<id>:<finished on>              one end of a job
 *     bull:<prefix>:<queue>:<id>:<finished on>:part-<n>     a piece of one that is larger than a value may be
 *     bull:<prefix>:<queue>:<id>:newest                     the times at which jobs of this id ended
 *
 * A queue's name has no colon, and the one of a prefix is written `%3A` (and `%` as `%25`), so that two jobs never share a
 * key. An id of more than `idBytesMax` bytes stands there as `sha256-` and its digest; the records hold it whole.
 */
import { hash } from 'node:crypto';
import type { QueueAddress } from './queue-address.ts';

export const idBytesMax = 256;

/** Key of the record of the end of a job at that time. */
export function recordKey(address: QueueAddress, id: string, finishedOn: number): string {
  return `${jobPart(address, id)}:${finishedOn}`;
}

/** Key of a piece, numbered from 1, of a record that is larger than a value may be. */
export function partKey(address: QueueAddress, id: string, finishedOn: number, part: number): string {
  return `${recordKey(address, id, finishedOn)}:part-${part}`;
}

/** Key of the index of all ends of jobs with this id: the one key that needs no time to be known. */
export function newestKey(address: QueueAddress, id: string): string {
  return `${jobPart(address, id)}:newest`;
}

function jobPart({ prefix, queue }: QueueAddress, id: string): string {
  const escaped = prefix.replaceAll('%', '%25').replaceAll(':', '%3A');
  return `bull:${escaped}:${queue}:${Buffer.byteLength(id) > idBytesMax ? `sha256-${hash('sha256', id)}` : id}`;
}
