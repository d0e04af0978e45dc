/**
 * `bench engine`: every contender loads the same records and reads some of them back, each run in a process and a
 * directory of its own, so that memory, garbage collection and caches do not mix. The runs alternate; before each the
 * machine's memory is touched and the system's dirty pages are written out. A hash over values read back ties the speed to the right result.
 */
import fs from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BenchError } from '../bench-error.ts';
import { runChild } from '../child.ts';
import type { ContenderName } from '../contender/contenders.ts';
import { describeMachine } from '../machine.ts';
import { touchMemory } from '../touch-memory.ts';
import { Workload } from '../workload.ts';
import { expectedHash } from './get-phase.ts';
import { formatGrowthReport } from './growth-report.ts';
import { type EngineOptions, parseEngineOptions } from './options.ts';
import { type EngineReport, formatEngineReport } from './report.ts';
import type { EngineRun, EngineRunRequest } from './run.ts';

export { engineUsage } from './options.ts';

/**
 * Node lets the young generation of a busy process grow to twelve times this, whatever it holds: that would be measured as
 * the store's memory. The same for all contenders.
 */
export const youngGeneration = '--max-semi-space-size=16';

const runProgram = fileURLToPath(new URL('./run.ts', import.meta.url));

/** Runs all contenders and prints the report; wrong values read back are an error. */
export async function benchEngine(words: readonly string[]): Promise<void> {
  const { json, ...inputs } = parseEngineOptions(words);
  const directory = await fs.mkdtemp(join(inputs.directory, 'permafrost-bench-'));
  const say = (line: string): void => (json ? undefined : console.error(line));
  try {
    const reports = inputs.growth
      ? [await measureEngine(tenthOf(inputs), directory, say), await measureEngine(inputs, directory, say)]
      : [await measureEngine(inputs, directory, say)];
    console.log(json ? JSON.stringify(inputs.growth ? reports : reports[0], undefined, 2) : textOf(reports));
    for (const report of reports) checkHashes(report);
  } finally {
    await fs.rm(directory, { recursive: true, force: true });
  }
}

type Inputs = Omit<EngineOptions, 'json'>;

function tenthOf(inputs: Inputs): Inputs {
  return { ...inputs, recordCount: Math.ceil(inputs.recordCount / 10) };
}

function textOf([first, second]: readonly EngineReport[]): string {
  if (first === undefined) return '';
  return second === undefined ? formatEngineReport(first) : formatGrowthReport(first, second);
}

async function measureEngine(inputs: Inputs, directory: string, say: (line: string) => void): Promise<EngineReport> {
  const workload = new Workload(inputs);
  const runs: EngineRun[] = [];
  for (let run = 1; run <= inputs.runCount; run++) {
    for (const contender of inputs.contenders) {
      say(`run ${run} of ${inputs.runCount}: ${contender} …`);
      runs.push(await measureOne(contender, inputs, directory));
    }
  }
  const withCold = runs.some((run) => (run.gets?.cold.length ?? 0) > 0);
  return {
    inputs,
    payloadBytes: workload.payloadBytes,
    getsHash: expectedHash(workload, inputs, withCold),
    machine: await describeMachine(directory),
    runs,
  };
}

async function measureOne(contender: ContenderName, inputs: Inputs, parent: string): Promise<EngineRun> {
  const directory = await fs.mkdtemp(join(parent, `${contender}-`));
  try {
    const { recordCount, keyBytes, valueBytes, batchCount, syncMs } = inputs;
    const size = { recordCount, keyBytes, valueBytes, batchCount };
    const { warmCount, coldCount, coldMemoryMiB } = inputs;
    const counts = { warmCount, coldCount, coldMemoryMiB };
    await touchMemory();
    const request: EngineRunRequest = { contender, directory, ...size, syncMs, ...counts };
    return await runChild<EngineRun>(runProgram, request, [youngGeneration, '--expose-gc']);
  } finally {
    await fs.rm(directory, { recursive: true, force: true });
  }
}

function checkHashes(report: EngineReport): void {
  const wrong = report.runs.find((run) => run.gets !== undefined && run.gets.hash !== report.getsHash);
  if (wrong === undefined) return;
  throw new BenchError(`${wrong.contender} read back other values: ${wrong.gets?.hash}, expected ${report.getsHash}`);
}
