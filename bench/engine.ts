/**
 * `bench engine`: every contender loads the same records, each run in a process and a directory of its own, so that
 * memory, garbage collection and caches do not mix. The runs alternate, and the system's dirty pages are written
 * out before each. A hash over values read back ties the speed to the right result.
 */
import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BenchError } from './bench-error.ts';
import { parseEngineOptions } from './engine-options.ts';
import { type EngineReport, formatEngineReport } from './engine-report.ts';
import type { ContenderName, EngineRun, EngineRunRequest } from './engine-run.ts';
import { describeMachine } from './measure.ts';
import { hashOfValues, Workload } from './workload.ts';

export { engineUsage } from './engine-options.ts';

const runProgram = fileURLToPath(new URL('./engine-run.ts', import.meta.url));
const execFileAsync = promisify(execFile);

/** Runs all contenders and prints the report; wrong values read back are an error. */
export async function benchEngine(words: readonly string[]): Promise<void> {
  const { json, ...inputs } = parseEngineOptions(words);
  const directory = await fs.mkdtemp(join(inputs.directory, 'permafrost-bench-'));
  try {
    const report = await measureEngine(inputs, directory, json ? () => {} : (line) => console.error(line));
    console.log(json ? JSON.stringify(report, undefined, 2) : formatEngineReport(report));
    checkHashes(report);
  } finally {
    await fs.rm(directory, { recursive: true, force: true });
  }
}

async function measureEngine(
  inputs: EngineReport['inputs'],
  directory: string,
  say: (line: string) => void,
): Promise<EngineReport> {
  const workload = new Workload(inputs);
  const runs: EngineRun[] = [];
  for (let run = 1; run <= inputs.runCount; run++) {
    for (const contender of inputs.contenders) {
      say(`run ${run} of ${inputs.runCount}: ${contender} …`);
      runs.push(await measureOne(contender, inputs, directory));
    }
  }
  return {
    inputs,
    payloadBytes: workload.payloadBytes,
    sampleHash: hashOfValues(workload.sample().map((record) => record.value)),
    machine: await describeMachine(directory),
    runs,
  };
}

async function measureOne(
  contender: ContenderName,
  inputs: EngineReport['inputs'],
  parent: string,
): Promise<EngineRun> {
  const directory = await fs.mkdtemp(join(parent, `${contender}-`));
  try {
    await execFileAsync('sync').catch(() => {});
    const { recordCount, keyBytes, valueBytes, batchCount, syncMs } = inputs;
    const request: EngineRunRequest = { contender, directory, recordCount, keyBytes, valueBytes, batchCount, syncMs };
    const { stdout } = await execFileAsync(process.execPath, [runProgram, JSON.stringify(request)]);
    return JSON.parse(stdout);
  } finally {
    await fs.rm(directory, { recursive: true, force: true });
  }
}

function checkHashes(report: EngineReport): void {
  const wrong = report.runs.find((run) => run.readHash !== undefined && run.readHash !== report.sampleHash);
  if (wrong === undefined) return;
  throw new BenchError(`${wrong.contender} read back other values: ${wrong.readHash}, expected ${report.sampleHash}`);
}
