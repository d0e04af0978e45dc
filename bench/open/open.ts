/**
 * `bench open`: a store is made once and closed well, and once more by a process that is killed; copies of both are
 * opened by processes of their own, with the page cache warm and, where that is allowed, empty. Each opening ends with
 * reading records back.
 */
import fs from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runChild } from '../child.ts';
import { dropPageCache, writeOut } from '../disk-use.ts';
import { describeMachine } from '../machine.ts';
import type { BuildRequest, Ending } from './build.ts';
import type { OpenRequest, OpenResult } from './open-once.ts';
import { type OpenOptions, parseOpenOptions } from './options.ts';
import { caches, endings, formatOpenReport, type OpenReport, type OpenRun } from './report.ts';
import type { SubjectName } from './subjects.ts';

export { openUsage } from './options.ts';

type Inputs = Omit<OpenOptions, 'json'>;

const buildProgram = fileURLToPath(new URL('./build.ts', import.meta.url));
const openProgram = fileURLToPath(new URL('./open-once.ts', import.meta.url));
/** What a value takes in a section beside its bytes, about: so the sections become as many as were asked for. */
const frameBytes: Readonly<Partial<Record<SubjectName, number>>> = { engine: 6, shard: 80 };

/** Measures all openings and prints the report; a record that is not found again is an error. */
export async function benchOpen(words: readonly string[]): Promise<void> {
  const { json, ...inputs } = parseOpenOptions(words);
  const directory = await fs.mkdtemp(join(inputs.directory, 'permafrost-bench-'));
  const say = (line: string): void => (json ? undefined : console.error(line));
  try {
    const runs: OpenRun[] = [];
    for (const subject of inputs.subjects) {
      for (const ending of endings) runs.push(...(await measure(subject, ending, inputs, directory, say)));
    }
    const report: OpenReport = { inputs, machine: await describeMachine(directory), runs };
    console.log(json ? JSON.stringify(report, undefined, 2) : formatOpenReport(report));
  } finally {
    await fs.rm(directory, { recursive: true, force: true });
  }
}

async function measure(
  subject: SubjectName,
  ending: Ending,
  inputs: Inputs,
  parent: string,
  say: (line: string) => void,
): Promise<OpenRun[]> {
  say(`${subject}, ${ending}: making …`);
  const master = await fs.mkdtemp(join(parent, `${subject}-${ending}-`));
  const request = requestOf(subject, inputs);
  await build({ ...request, directory: master, ending });
  const runs: OpenRun[] = [];
  for (let run = 1; run <= inputs.runCount; run++) {
    say(`${subject}, ${ending}: opening ${run} of ${inputs.runCount} …`);
    for (const cache of inputs.cold ? caches : caches.slice(0, 1)) {
      const directory = `${master}-copy`;
      await fs.cp(master, directory, { recursive: true });
      await writeOut();
      if (cache === 'warm' || (await dropPageCache())) {
        runs.push({ subject, ending, cache, ...(await runChild<OpenResult>(openProgram, { ...request, directory })) });
      }
      await fs.rm(directory, { recursive: true });
    }
  }
  await fs.rm(master, { recursive: true });
  return runs;
}

function requestOf(subject: SubjectName, inputs: Inputs): Omit<OpenRequest, 'directory'> {
  const { recordCount, keyBytes, valueBytes, batchCount, sectionCount } = inputs;
  const sectionBytes = Math.ceil((recordCount * (valueBytes + (frameBytes[subject] ?? 0))) / sectionCount);
  return { subject, recordCount, keyBytes, valueBytes, batchCount, sectionBytes };
}

/** A process that kills itself gives no answer. */
async function build(request: BuildRequest): Promise<void> {
  try {
    await runChild(buildProgram, request);
  } catch (error) {
    const killed = error instanceof Error && 'signal' in error && error.signal === 'SIGKILL';
    if (!killed || request.ending !== 'killed') throw error;
  }
}
