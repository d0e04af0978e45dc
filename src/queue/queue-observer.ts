import type { LookupOutcome } from '../protocol/reply.ts';
import type { PutOutcome } from '../protocol/receipts.ts';
import type { RedisTrouble } from './redis-trouble.ts';

/** Why a reply or receipt was not delivered. */
export type DropReason = 'dead-client' | 'list-full' | 'undeliverable';

/** Told what happens on the queues; the service makes metrics of it. Nothing it does may throw. */
export interface QueueObserver {
  /** A put job is durable. `waitS`: from being queued to being durable, by the producer's clock. */
  putStored(fact: {
    readonly counts: Readonly<Record<PutOutcome, number>>;
    readonly bytes: number;
    readonly waitS: number;
  }): void;
  putRefused(code: string): void;
  putHandedBack(): void;
  /** `durationS`: from fetching the job to the reply's being in Redis. */
  lookupAnswered(fact: { readonly counts: ReadonlyMap<LookupOutcome, number>; readonly durationS: number }): void;
  lookupRefused(code: string): void;
  replyDropped(reason: DropReason, count: number): void;
  redisTrouble(trouble: RedisTrouble): void;
  jobStalled(): void;
  checkpointPublished(epoch: number, lagS: number): void;
}

export const silentObserver: QueueObserver = {
  putStored() {},
  putRefused() {},
  putHandedBack() {},
  lookupAnswered() {},
  lookupRefused() {},
  replyDropped() {},
  redisTrouble() {},
  jobStalled() {},
  checkpointPublished() {},
};
