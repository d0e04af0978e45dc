import type { Work } from './experiment.ts';

/** The counts of `Work`, in the order in which they are shown, with the words for them. */
export const workCounts = [
  ['cases', 'cases'],
  ['crashPoints', 'crash points'],
  ['diskStates', 'disk states'],
  ['operations', 'operations'],
] as const satisfies readonly (readonly [keyof Work, string])[];

export const noWork: Work = { cases: 0, crashPoints: 0, diskStates: 0, operations: 0 };

export function sumOf(work: readonly Partial<Work>[]): Work {
  const sum = { ...noWork };
  for (const part of work) for (const [count] of workCounts) sum[count] += part[count] ?? 0;
  return sum;
}

/** What is missing of the least work, in words; `undefined` when nothing is. */
export function shortfallOf(work: Work, least: Partial<Work>): string | undefined {
  const short = workCounts.filter(([count]) => work[count] < (least[count] ?? 0));
  if (short.length === 0) return undefined;
  return short.map(([count, words]) => `${work[count]} ${words} instead of at least ${least[count]}`).join(', ');
}
