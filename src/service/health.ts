import type { HttpPage } from './http.ts';

/** What `/readyz` tells, beside the status code. */
export interface Health {
  readonly archive: string;
  /** Why the worker as a whole is not ready. */
  readonly reasons: readonly string[];
  /** What an operator should mend though the worker works. */
  readonly warnings: readonly string[];
  readonly shards: readonly ShardHealth[];
}

export interface ShardHealth {
  readonly shard: number;
  /** Why this shard is not ready; empty when it is. */
  readonly reasons: readonly string[];
  /** Why puts are not fetched at the moment; lookups go on. */
  readonly pauses: readonly string[];
}

/** `/healthz`: the process turns its event loop. */
export const alivePage: HttpPage = {
  contentType: 'text/plain; charset=utf-8',
  isOpen: true,
  body: async () => ({ status: 200, text: 'alive\n' }),
};

/**
 * `/readyz`: 200 when the worker owns all of its shards, has recovered them, and Redis answers; else 503. `reasons` and
 * `pauses` hold those of the worker and of every shard; which shard they are of is told beside them.
 */
export function readyPage(health: () => Promise<Health>): HttpPage {
  return {
    contentType: 'application/json',
    isOpen: true,
    body: async () => {
      const now = await health();
      const reasons = [...new Set([...now.reasons, ...now.shards.flatMap((shard) => shard.reasons)])];
      const pauses = [...new Set(now.shards.flatMap((shard) => shard.pauses))];
      const ready = reasons.length === 0;
      return { status: ready ? 200 : 503, text: `${JSON.stringify({ ready, ...now, reasons, pauses })}\n` };
    },
  };
}
