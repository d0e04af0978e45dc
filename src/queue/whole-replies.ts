import { type IQueueBackend, RedisQueueBackend } from 'bullmq';

/** The script that completes a job and gives the next one. */
const completion = 'moveToFinished';

/**
 * Spares a worker from having each job that it fetches written out as one text.
 *
 * To see whether a completion failed BullMQ asks whether its reply is below 0. The reply is an array with all fields of the
 * next job, and in order to compare it the language joins them, payloads and all: 0.3 ms for 137 KB. Such a reply now says
 * at once that it is no number.
 */
export function keepRepliesWhole(backend: IQueueBackend): void {
  if (!(backend instanceof RedisQueueBackend)) return;
  const run = backend.execCommand.bind(backend);
  backend.execCommand = (client, command, args): unknown => {
    const reply: unknown = run(client, command, args);
    return command === completion && reply instanceof Promise ? reply.then(withoutNumber) : reply;
  };
}

function withoutNumber(reply: unknown): unknown {
  return Array.isArray(reply) ? Object.defineProperty(reply, Symbol.toPrimitive, { value: () => Number.NaN }) : reply;
}
