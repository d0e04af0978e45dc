import type { Clock } from '../base/clock.ts';

/** What `work` comes to, or `undefined` when it takes longer; it then goes on unattended, and may not reject. */
export async function within<T>(clock: Clock, timeoutMs: number, work: Promise<T>): Promise<T | undefined> {
  const expired = Promise.withResolvers<undefined>();
  const timer = clock.after(timeoutMs, () => expired.resolve(undefined));
  try {
    return await Promise.race([work, expired.promise]);
  } finally {
    timer.cancel();
  }
}

/** Resolves after so long. */
export function pause(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
}
