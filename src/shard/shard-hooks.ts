import type { Logger } from '../base/logger.ts';
import type { Round } from './group-commit.ts';
import type { ShardCheckpoint } from './shard-checkpoint.ts';

export type ShardState = 'open' | 'recovering' | 'disk-full' | 'failed' | 'closing' | 'closed';

/** Told what happens. Never waited for; nothing that they throw reaches the shard. */
export interface ShardHooks {
  /** A checkpoint became durable; also once after opening. */
  readonly onCheckpoint?: (checkpoint: ShardCheckpoint) => void;
  readonly onState?: (state: ShardState, cause: Error | undefined) => void;
  readonly onRound?: (round: Round) => void;
  /** Progress of the long parts of opening. */
  readonly onProgress?: (done: number, total: number, phase: string) => void;
}

/** Calls hooks; what they throw is logged and goes no further. */
export class HookCaller {
  readonly #hooks: ShardHooks;
  readonly #logger: Logger;

  constructor(hooks: ShardHooks, logger: Logger) {
    this.#hooks = hooks;
    this.#logger = logger;
  }

  tell(call: (hooks: ShardHooks) => void): void {
    try {
      call(this.#hooks);
    } catch (error) {
      this.#logger.error({ error }, 'hook-failed');
    }
  }
}
