import { shardCountMax } from '../protocol/names.ts';

const part = /^(0|[1-9]\d{0,3})(?:-(0|[1-9]\d{0,3}))?$/;

/** The shards in a text such as `0-3` or `0,2,5`, rising; `undefined` if it is none, or names a shard twice. */
export function parseShardList(text: string): readonly number[] | undefined {
  const shards = new Set<number>();
  let count = 0;
  for (const piece of text.split(',')) {
    const match = part.exec(piece);
    if (match === null) return undefined;
    const first = Number(match[1]);
    const last = Number(match[2] ?? match[1]);
    if (last < first || last >= shardCountMax) return undefined;
    for (let shard = first; shard <= last; shard += 1) shards.add(shard);
    count += last - first + 1;
  }
  return shards.size === count ? [...shards].sort((left, right) => left - right) : undefined;
}
