/** The jobs of the queue that is archived: of every kind that BullMQ has, small and large, well done and failed. */
import { createHash } from 'node:crypto';
import type { FlowJob, Job, JobsOptions } from 'bullmq';

export const queueName = 'shop';
/** A queue that nobody works on: flows with a child in it stay open. */
export const idleQueueName = 'shop-idle';

export const shapes = [
  'small',
  'large',
  'huge',
  'failed',
  'logged',
  'flow',
  'throttled',
  'scheduled',
  'open flow',
] as const;
export type Shape = (typeof shapes)[number];

export interface Work {
  readonly shape: Shape;
  readonly text: string;
  readonly fail?: string;
  readonly logs?: readonly string[];
}

export interface NewJob {
  readonly name: string;
  readonly data: Work;
  readonly opts?: JobsOptions;
}

/** Of a hundred jobs in a row. */
function shapeOf(n: number): Exclude<Shape, 'scheduled' | 'open flow'> {
  if (n % 1000 === 999) return 'huge';
  const place = n % 100;
  if (place < 70) return 'small';
  if (place < 74) return 'large';
  if (place < 84) return 'failed';
  if (place < 92) return 'logged';
  return place < 94 ? 'flow' : 'throttled';
}

/** The next things to add: one job, or a flow of five. */
export function* mixture(jobCount: number): Generator<NewJob | FlowJob> {
  for (let n = 0, made = 0; made < jobCount; n++) {
    const shape = shapeOf(n);
    made += shape === 'flow' ? 5 : 1;
    yield shape === 'flow' ? flow(n) : { name: shape, data: workOf(shape, n), opts: optionsOf(shape, n) };
  }
}

/** A flow whose parent waits for a child that nobody works on. */
export function openFlow(n: number): FlowJob {
  const child = { name: 'open flow', data: workOf('open flow', n) };
  const children = [
    { ...child, queueName },
    { ...child, queueName: idleQueueName },
  ];
  return { ...child, queueName, children };
}

/** What the worker does: everything that a job's data asks for. */
export async function perform(job: Job<Work>): Promise<object> {
  const { fail, logs = [], shape, text } = job.data;
  for (const line of logs) await job.log(line);
  if (logs.length > 0) await job.updateProgress(100);
  if (fail !== undefined) throw new Error(fail);
  return { shape, digest: createHash('sha256').update(text).digest('hex') };
}

function flow(n: number): FlowJob {
  const job = (place: number) => ({ name: 'flow', queueName, data: workOf('flow', 10 * n + place) });
  return { ...job(0), children: [1, 2, 3, 4].map(job) };
}

function workOf(shape: Shape, n: number): Work {
  const work = { shape, text: textOf(n, bytesOf(shape, n)) };
  if (shape === 'failed') return { ...work, fail: `order ${n} has no address`, logs: ['looking', 'not found'] };
  return shape === 'logged' ? { ...work, logs: Array.from({ length: 5 }, (_, line) => `step ${line} of ${n}`) } : work;
}

function optionsOf(shape: Shape, n: number): JobsOptions {
  if (shape === 'failed') return { attempts: 2 };
  if (shape === 'logged') return { jobId: `order-${n}`, priority: 1 + (n % 5) };
  return shape === 'throttled' ? { deduplication: { id: `customer-${n}`, ttl: 86_400_000 } } : {};
}

function bytesOf(shape: Shape, n: number): number {
  if (shape === 'huge') return 1_200_000 + (n % 7) * 200_000;
  return shape === 'large' ? 8192 * (1 + (n % 8)) : 200 + (n % 700);
}

/** Text that does not compress well, the same each time. */
function textOf(n: number, bytes: number): string {
  const hash = createHash('shake256', { outputLength: Math.ceil(bytes / 2) });
  return hash.update(`${n}`).digest('hex').slice(0, bytes);
}
