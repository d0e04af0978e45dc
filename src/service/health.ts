import type { HttpPage } from './http.ts';

/** What `/readyz` tells, beside the status code. */
export interface Health {
  readonly archive: string;
  readonly shard: number;
  /** Why the worker is not ready; empty when it is. */
  readonly reasons: readonly string[];
  /** What an operator should mend though the worker works. */
  readonly warnings: readonly string[];
  /** Why puts are not fetched at the moment; lookups go on. */
  readonly pauses: readonly string[];
}

/** `/healthz`: the process turns its event loop. */
export const alivePage: HttpPage = {
  contentType: 'text/plain; charset=utf-8',
  body: async () => ({ status: 200, text: 'alive\n' }),
};

/** `/readyz`: 200 when the worker owns its shard, has recovered, and Redis answers; else 503, with the reasons. */
export function readyPage(health: () => Promise<Health>): HttpPage {
  return {
    contentType: 'application/json',
    body: async () => {
      const now = await health();
      const ready = now.reasons.length === 0;
      return { status: ready ? 200 : 503, text: `${JSON.stringify({ ready, ...now })}\n` };
    },
  };
}
