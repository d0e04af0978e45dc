import { once } from 'node:events';
import { systemClock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Config } from './config.ts';
import { createLogger, type ServiceLogger } from './log.ts';
import { type Service, startService } from './service.ts';

export interface RunOptions {
  readonly logger?: ServiceLogger;
}

const doubledSignalMs = 1000;

/** Why a worker ends: a signal, its own failure, or an error that nobody caught. */
type Ending = { readonly signal: NodeJS.Signals } | { readonly failure: unknown };

/**
 * Runs a worker until SIGTERM or SIGINT, or until it fails; gives the status to exit with: 0 after a signal, also when
 * Redis was gone, 1 after a failure or when it could not start. A second signal ends the wait for a good end.
 *
 * A signal during the start ends it at once: opening a shard is safe to interrupt.
 */
export async function runWorker(config: Config, options: RunOptions = {}): Promise<number> {
  const logger = options.logger ?? createLogger(config.log.level, { archive: config.archive });
  using signals = listen();
  const starting = startService(config, { logger });
  const started = await Promise.race([starting.catch((error: unknown) => ({ failure: error })), signals.ended]);
  if (!('stop' in started)) return end(started, logger);
  const ending = await Promise.race([signals.ended, started.failed.then((failure) => ({ failure }))]);
  await stop(started, signals.again);
  return end(ending, logger);
}

async function stop(service: Service, again: Promise<unknown>): Promise<void> {
  await Promise.race([service.stop(), again]);
}

function end(ending: Ending, logger: ServiceLogger): number {
  if ('signal' in ending) {
    logger.info({ signal: ending.signal }, 'worker-ended');
    return 0;
  }
  logger.error({ error: ending.failure, reason: messageOf(ending.failure) }, 'worker-ended');
  return 1;
}

/** npm and a process group deliver one Ctrl-C twice: what follows the first at once is no second signal. */
async function nextNotDoubled(next: () => Promise<Ending>): Promise<Ending> {
  const firstMs = systemClock.monotonicMs();
  for (;;) {
    const ending = await next();
    if ('failure' in ending || systemClock.monotonicMs() - firstMs >= doubledSignalMs) return ending;
  }
}

interface Signals extends Disposable {
  /** The first signal or uncaught error. */
  readonly ended: Promise<Ending>;
  /** A signal after that. */
  readonly again: Promise<unknown>;
}

function listen(): Signals {
  const stopped = new AbortController();
  const { signal } = stopped;
  const next = (): Promise<Ending> =>
    Promise.race([
      once(process, 'SIGTERM', { signal }).then((): Ending => ({ signal: 'SIGTERM' })),
      once(process, 'SIGINT', { signal }).then((): Ending => ({ signal: 'SIGINT' })),
      once(process, 'uncaughtException', { signal }).then(([failure]): Ending => ({ failure })),
    ]);
  const ended = next();
  const again = ended.then(() => nextNotDoubled(next));
  for (const promise of [ended, again]) promise.catch(() => {});
  return { ended, again, [Symbol.dispose]: () => stopped.abort() };
}
