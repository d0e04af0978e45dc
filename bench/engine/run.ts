/** Child process of `bench engine`: measures one contender once and prints one JSON line. */
import { answerParent } from '../child.ts';
import { type ContenderName, openContender } from '../contender/contenders.ts';
import { Workload, type WorkloadSize } from '../workload.ts';
import { type GetCounts, type GetsResult, measureGets } from './get-phase.ts';
import { type LoadResult, load } from './load-phase.ts';

export interface EngineRunRequest extends WorkloadSize, GetCounts {
  readonly contender: ContenderName;
  readonly directory: string;
  readonly syncMs: number;
}

export interface EngineRun {
  readonly contender: ContenderName;
  readonly load: LoadResult;
  /** Undefined for a store without lookup. */
  readonly gets: GetsResult | undefined;
}

async function run(request: EngineRunRequest): Promise<EngineRun> {
  const workload = new Workload(request);
  const contender = await openContender(request.contender, request);
  const loaded = await load(contender, workload, request.directory);
  return {
    contender: request.contender,
    load: loaded,
    gets: await measureGets(contender, workload, request, request.directory),
  };
}

if (import.meta.main) await answerParent(run);
