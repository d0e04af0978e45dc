import { messageOf } from '../src/base/errors.ts';
import { type Experiment, type Round, Violation, type Work } from './experiment.ts';

/** How a round ended. Plain data: it may come from a thread. */
export type RoundEnd =
  | { readonly kind: 'whole'; readonly work: Work }
  /** It was told to stop, and did; without `work` nothing that it had done was judged. */
  | { readonly kind: 'interrupted'; readonly work?: Work }
  | { readonly kind: 'violation'; readonly message: string; readonly path?: string };

/**
 * Runs a round to its end; never rejects. What it throws is a violation, unless it had been told to stop: then only a
 * Violation is one, as an operation that is broken off may reject with anything.
 */
export async function endOf(experiment: Pick<Experiment, 'run'>, round: Round): Promise<RoundEnd> {
  try {
    const work = await experiment.run(round);
    return { kind: round.signal.aborted ? 'interrupted' : 'whole', work };
  } catch (error) {
    if (round.signal.aborted && !(error instanceof Violation)) return { kind: 'interrupted' };
    return violationOf(error);
  }
}

export function violationOf(error: unknown): Extract<RoundEnd, { readonly kind: 'violation' }> {
  const path = error instanceof Violation ? error.path : undefined;
  return { kind: 'violation', message: textOf(error), ...(path !== undefined && { path }) };
}

/** The message, and where it comes from: the innermost cause's stack. */
function textOf(error: unknown): string {
  let cause = error;
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause;
  const stack = cause instanceof Error ? (cause.stack ?? '') : '';
  const message = messageOf(error);
  const frames = stack.slice(stack.search(/^ {4}at /m)).split('\n');
  return stack.includes('\n    at ') ? `${message}\n${frames.slice(0, 8).join('\n')}` : message;
}
