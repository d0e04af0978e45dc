/**
 * The ceiling of `bench service`: a bare BullMQ worker with a worker's own queue settings that decodes each job and
 * completes it; a lookup it answers with a fixed reply of the right size. It stores and reads nothing.
 */
import { once } from 'node:events';
import { type Job, Queue, Worker } from 'bullmq';
import { decodeLookupJob } from '../../src/protocol/lookup-job.ts';
import {
  type ClientId,
  jobNames,
  lookupQueueName,
  putQueueName,
  queuePrefix,
  replyQueueName,
} from '../../src/protocol/names.ts';
import { decodePutJob } from '../../src/protocol/put-job.ts';
import { encodeReply, type ReplyWire } from '../../src/protocol/reply.ts';
import { workerOptions } from '../../src/queue/job-consumer.ts';
import { loadConfig } from '../../src/service/config.ts';
import { archive, BenchRecords, shard } from './archive.ts';
import { connect } from './redis.ts';

const { BENCH_VALUE_BYTES: valueBytes, ...env } = process.env;
const { limits, queue, put, lookup, redis } = loadConfig({ env });
const replyOptions = { attempts: 1, removeOnComplete: true, removeOnFail: true } as const;
const records = new BenchRecords(Number(valueBytes), 1);
const replyQueues = new Map<ClientId, Queue>();
const replyConnection = connect(redis.url);
const fixedReplies = new Map<number, ReplyWire>();

function consumer(name: string, concurrency: number, work: (job: Job) => Promise<void>): Worker {
  const options = workerOptions({ ...queue, limits, queue: name, concurrency }, connect(redis.url));
  return new Worker(name, work, options).on('error', (error) => console.error(error));
}

async function takePut(job: Job): Promise<void> {
  decodePutJob(job.data, limits);
}

async function takeLookup(job: Job): Promise<void> {
  const { id, keys, replyTo } = decodeLookupJob(job.data, limits);
  if (replyTo.kind !== 'client') return;
  await replyQueue(replyTo.client).add(jobNames.reply, { ...fixedReply(keys.length), id }, replyOptions);
}

function replyQueue(client: ClientId): Queue {
  const open = replyQueues.get(client);
  if (open !== undefined) return open;
  const made = new Queue(replyQueueName(archive, client), {
    connection: replyConnection,
    prefix: queuePrefix,
    streams: { events: { maxLen: queue.eventsMax } },
    skipVersionCheck: true,
  });
  replyQueues.set(client, made);
  return made;
}

/** What a worker would answer to so many keys, the same each time. */
function fixedReply(count: number): ReplyWire {
  const known = fixedReplies.get(count);
  if (known !== undefined) return known;
  const results = Array.from({ length: count }, (_, at) => {
    const value = records.valueOf(at);
    const found = {
      cursor: `${shard}:${'0'.repeat(40)}`,
      size: value.length,
      time: Date.now(),
      put: `${at}-${Date.now()}/0`,
    };
    return { key: records.keyOf(at), outcome: 'found', value, ...found } as const;
  });
  const reply = encodeReply({ id: '', part: 0, last: true, results });
  fixedReplies.set(count, reply);
  return reply;
}

const consumers = [
  consumer(putQueueName(archive, shard), put.concurrency, takePut),
  consumer(lookupQueueName(archive, shard), lookup.concurrency, takeLookup),
];
await Promise.all(consumers.map((one) => one.waitUntilReady()));
console.log(JSON.stringify({ event: 'worker-ready' }));
await once(process, 'SIGTERM');
await Promise.all(consumers.map((one) => one.close()));
process.exit(0);
