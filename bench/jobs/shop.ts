import { FlowProducer, Queue, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { idleQueueName, mixture, type NewJob, openFlow, perform, queueName, type Work } from './mixture.ts';

const schedulerCount = 10;
const scheduleMs = 50;
const openFlowCount = 10;
const addedTogether = 200;

/** The queue of a shop: adds jobs of all shapes and finishes them, with BullMQ alone. */
export class Shop {
  readonly queue: Queue;
  readonly #redis: Redis;
  readonly #flows: FlowProducer;

  constructor(redis: Redis) {
    this.#redis = redis;
    this.queue = new Queue(queueName, { connection: redis });
    this.#flows = new FlowProducer({ connection: redis });
  }

  /** Fills the queue until about so many jobs have finished. Schedulers, and flows that are still open, stay in it. */
  async fill(jobCount: number): Promise<void> {
    const worker = new Worker<Work>(queueName, perform, { connection: this.#redis, concurrency: 64, drainDelay: 1 });
    worker.on('error', () => {});
    for (let n = 0; n < schedulerCount; n++) {
      const data = { shape: 'scheduled', text: `run ${n}` };
      await this.queue.upsertJobScheduler(`every-${n}`, { every: scheduleMs }, { name: 'scheduled', data });
    }
    for (let n = 0; n < openFlowCount; n++) await this.#flows.add(openFlow(n));
    await this.#add(jobCount);
    await this.#settled(worker);
  }

  /** Works on the idle queue, so that the open flows end. */
  async endFlows(): Promise<void> {
    const options = { connection: this.#redis, drainDelay: 1 };
    const parents = new Worker<Work>(queueName, perform, options);
    const children = new Worker<Work>(idleQueueName, perform, options);
    for (const worker of [parents, children]) worker.on('error', () => {});
    while ((await this.queue.getJobCountByTypes('waiting-children')) > 0) await nextTurn();
    await this.#settled(parents);
    await children.close();
  }

  async close(): Promise<void> {
    await this.queue.close();
    await this.#flows.close();
  }

  async #add(jobCount: number): Promise<void> {
    let jobs: NewJob[] = [];
    for (const next of mixture(jobCount)) {
      if ('queueName' in next) await this.#flows.add(next);
      else jobs.push(next);
      if (jobs.length < addedTogether) continue;
      await this.queue.addBulk(jobs);
      jobs = [];
    }
    await this.queue.addBulk(jobs);
  }

  /** Waits until nothing waits but what is scheduled for later, then lets the worker go. */
  async #settled(worker: Worker): Promise<void> {
    while ((await this.queue.getJobCountByTypes('waiting', 'prioritized', 'active')) > 0) await nextTurn();
    await worker.close();
  }
}

/** A little later: what it waits for is told by nobody. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 20);
  });
}
