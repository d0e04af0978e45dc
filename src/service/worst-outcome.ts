import type { LookupOutcome } from '../protocol/reply.ts';

/** How far each outcome is from what a reader hopes for. */
const badness: Readonly<Record<LookupOutcome, number>> = {
  found: 0,
  missing: 1,
  'too-large': 2,
  invalid: 3,
  expired: 4,
  unavailable: 5,
  corrupt: 6,
};

/** A lookup of many keys has many outcomes: told by one word, it is the worst of them. `found` when there is none. */
export function worstOutcome(outcomes: Iterable<LookupOutcome>): LookupOutcome {
  let worst: LookupOutcome = 'found';
  for (const outcome of outcomes) if (badness[outcome] > badness[worst]) worst = outcome;
  return worst;
}
