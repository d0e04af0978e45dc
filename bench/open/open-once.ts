/** Child process of `bench open`: opens a store once, and reads from it what must be there. */
import { BenchError } from '../bench-error.ts';
import { answerParent } from '../child.ts';
import { Workload, type WorkloadSize } from '../workload.ts';
import type { Opened } from './subject.ts';
import { type SubjectName, subjectOf } from './subjects.ts';

export interface OpenRequest extends WorkloadSize {
  readonly subject: SubjectName;
  readonly directory: string;
  readonly sectionBytes: number;
}

export interface OpenResult {
  /** Until it could be read from and written to. */
  readonly ms: number;
  readonly facts: Readonly<Record<string, number>>;
}

const sampleCount = 200;

async function openOnce(request: OpenRequest): Promise<OpenResult> {
  const subject = await subjectOf(request.subject);
  const startMs = performance.now();
  const opened = await subject.open(request.directory, request.sectionBytes);
  const ms = performance.now() - startMs;
  await check(opened, new Workload(request));
  await opened.close();
  return { ms, facts: opened.facts };
}

/** Records drawn from all, and the last ones: those that a crash is most likely to lose. */
async function check(opened: Opened, workload: Workload): Promise<void> {
  const { recordCount } = workload.size;
  const last = Array.from({ length: Math.min(sampleCount, recordCount) }, (_, at) => recordCount - 1 - at);
  for (const position of [...workload.positions(0, sampleCount), ...last]) {
    const { key, value } = workload.record(position);
    const found = await opened.get(key);
    if (found === undefined || !value.equals(found)) throw new BenchError(`record ${position} was not found again`);
  }
}

if (import.meta.main) await answerParent(openOnce);
