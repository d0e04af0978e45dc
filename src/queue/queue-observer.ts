import type { PutOutcome } from '../protocol/receipts.ts';
import type { LookupOutcome } from '../protocol/reply.ts';
import type { RedisTrouble } from './redis-trouble.ts';
import type { ThrottledLog } from './throttled-log.ts';

/** Why a reply or receipt was not delivered. */
export type DropReason = 'dead-client' | 'list-full' | 'undeliverable';

/** Told what happens on the queues; the service makes metrics of it. Called through `guardedObserver`. */
export interface QueueObserver {
  /** A put job is durable. `waitS`: from being queued to being durable; the first is of the producer's clock. */
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

/** The same observer, whose failures are logged and go no further: what is counted must not decide what is stored. */
export function guardedObserver(observer: QueueObserver, log: ThrottledLog): QueueObserver {
  const guard = <F extends readonly unknown[]>(tell: (...fact: F) => void): ((...fact: F) => void) => {
    return (...fact) => {
      try {
        tell(...fact);
      } catch (error) {
        log.warn({ error }, 'observer-failed');
      }
    };
  };
  return {
    putStored: guard((fact) => observer.putStored(fact)),
    putRefused: guard((code) => observer.putRefused(code)),
    putHandedBack: guard(() => observer.putHandedBack()),
    lookupAnswered: guard((fact) => observer.lookupAnswered(fact)),
    lookupRefused: guard((code) => observer.lookupRefused(code)),
    replyDropped: guard((reason, count) => observer.replyDropped(reason, count)),
    redisTrouble: guard((trouble) => observer.redisTrouble(trouble)),
    jobStalled: guard(() => observer.jobStalled()),
    checkpointPublished: guard((epoch, lagS) => observer.checkpointPublished(epoch, lagS)),
  };
}
