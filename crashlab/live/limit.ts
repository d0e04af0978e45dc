import { once } from 'node:events';
import { setTimeout as after } from 'node:timers/promises';
import { Violation } from '../experiment.ts';

/** The longest that anything may take whose faults are over: far above what the slowest machine needs. */
export const patienceMs = 60_000;

/**
 * What `work` comes to. A Violation when that takes longer than the patience; an ordinary error as soon as the lab is
 * being stopped. However `work` ends, its rejection counts as handled.
 */
export async function limited<T>(signal: AbortSignal, what: string, work: Promise<T>): Promise<T> {
  // Whoever began it may have it fail later, when nobody waits any more.
  work.catch(() => {});
  signal.throwIfAborted();
  const settled = new AbortController();
  const options = { signal: settled.signal };
  const expired = after(patienceMs, undefined, options).then(() => {
    throw new Violation(`${what}: not within ${patienceMs} ms`);
  });
  const stopped = once(signal, 'abort', options).then(() => signal.throwIfAborted());
  expired.catch(() => {});
  stopped.catch(() => {});
  try {
    return (await Promise.race([work, expired, stopped])) as T;
  } finally {
    settled.abort();
  }
}

/** Lets so much real time pass: the moment of a fault is the point. Ends early when the lab is being stopped. */
export async function passed(signal: AbortSignal, ms: number): Promise<void> {
  await after(ms, undefined, { signal }).catch(() => {});
}

/** Resolves when `holds` does, which is asked again and again. */
export async function until(
  signal: AbortSignal,
  what: string,
  holds: () => Promise<boolean> | boolean,
  everyMs = 20,
): Promise<void> {
  const over = new AbortController();
  const asking = (async () => {
    while (!over.signal.aborted && !(await holds())) await passed(over.signal, everyMs);
  })();
  try {
    await limited(signal, what, asking);
  } finally {
    over.abort();
  }
}
