/**
 * Does `work` for every item, so many at a time, each group when the one before it is done. Outcomes in the order of the
 * items. When some fail, those that began with them come to their end, and the first in the order is thrown.
 */
export async function inGroups<T, R>(
  items: readonly T[],
  groupSize: number,
  work: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const results: R[] = [];
  for (let from = 0; from < items.length; from += groupSize) {
    const outcomes = await Promise.allSettled(items.slice(from, from + groupSize).map(work));
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') throw outcome.reason;
      results.push(outcome.value);
    }
  }
  return results;
}
