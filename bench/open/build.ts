/** Child process of `bench open`: makes a store, and closes it or dies with it open. */
import { answerParent } from '../child.ts';
import { Workload, type WorkloadSize } from '../workload.ts';
import { type SubjectName, subjectOf } from './subjects.ts';

export type Ending = 'clean' | 'killed';

export interface BuildRequest extends WorkloadSize {
  readonly subject: SubjectName;
  readonly directory: string;
  readonly sectionBytes: number;
  readonly ending: Ending;
}

async function build(request: BuildRequest): Promise<object> {
  const workload = new Workload(request);
  const subject = await subjectOf(request.subject);
  const store = await subject.create(request.directory, request.sectionBytes);
  for (let index = 0; index < workload.batches; index++) await store.put(workload.batch(index));
  if (request.ending === 'killed') process.kill(process.pid, 'SIGKILL');
  await store.close();
  return {};
}

if (import.meta.main) await answerParent(build);
