import { JobsError } from './jobs-error.ts';

/** A BullMQ queue, by what its Redis keys begin with. */
export interface QueueAddress {
  /** BullMQ's `prefix`; `bull` unless the queue says otherwise. */
  readonly prefix: string;
  readonly queue: string;
}

/** How a job ended: BullMQ keeps a sorted set for each, by the time at which they ended. */
export const finishedStates = ['completed', 'failed'] as const;
export type FinishedState = (typeof finishedStates)[number];

/** UTF-8 bytes of prefix and queue together: room is left for the rest of an archive key. */
const nameBytesMax = 512;

/** The address, if BullMQ could have such a queue. Errors: JobsError `invalid-options`. */
export function queueAddress(queue: string, prefix = 'bull'): QueueAddress {
  const isName = queue !== '' && !queue.includes(':') && prefix !== '';
  if (!isName || !queue.isWellFormed() || !prefix.isWellFormed())
    throw new JobsError('invalid-options', 'a queue and its prefix have a name, and the queue no colon in it');
  const found = Buffer.byteLength(queue) + Buffer.byteLength(prefix);
  if (found <= nameBytesMax) return { prefix, queue };
  throw new JobsError('invalid-options', `prefix and queue have ${found} bytes, at most ${nameBytesMax} are possible`, {
    details: { max: nameBytesMax, found },
  });
}

/** The Redis key of a part of the queue: a set, a job by its id. */
export function queueKey({ prefix, queue }: QueueAddress, part: string): string {
  return `${prefix}:${queue}:${part}`;
}
