/**
 * `bench service`: a producer, a worker and Redis, each in a process of its own, and in the worker's place, in turns, a
 * consumer that only decodes. Each measurement has a new Redis and an empty archive; a tenth of the load runs before the
 * clock does.
 */
import fs from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BenchError } from '../bench-error.ts';
import { runChild } from '../child.ts';
import { syncTime, writeOut } from '../disk-use.ts';
import { describeMachine } from '../machine.ts';
import { type Subject, startConsumer, subjects } from './consumer.ts';
import type { DriverRequest, DriverResult } from './driver.ts';
import { type LoadName, loadOf } from './loads.ts';
import { parseServiceOptions, type ServiceOptions } from './options.ts';
import { startRedis } from './redis.ts';
import { formatServiceReport, type ServiceReport, type ServiceRun } from './report.ts';

export { serviceUsage } from './options.ts';

type Inputs = Omit<ServiceOptions, 'json'>;

const driverProgram = fileURLToPath(new URL('./driver.ts', import.meta.url));

/** Measures all loads and prints the report; wrong values read back are an error. */
export async function benchService(words: readonly string[]): Promise<void> {
  const { json, ...inputs } = parseServiceOptions(words);
  const directory = await fs.mkdtemp(join(inputs.directory, 'permafrost-bench-'));
  try {
    const report = await measureService(inputs, directory, json ? () => {} : (line) => console.error(line));
    console.log(json ? JSON.stringify(report, undefined, 2) : formatServiceReport(report));
    checkHashes(report.runs);
  } finally {
    await fs.rm(directory, { recursive: true, force: true });
  }
}

async function measureService(inputs: Inputs, directory: string, say: (line: string) => void): Promise<ServiceReport> {
  const runs: ServiceRun[] = [];
  for (let run = 1; run <= inputs.runCount; run++) {
    for (const load of inputs.loads) {
      for (const subject of subjectsOf(load)) {
        say(`run ${run} of ${inputs.runCount}: ${load}, ${subject} …`);
        runs.push({ load, subject, ...(await measureOne(load, subject, inputs, directory)) });
      }
    }
  }
  return { inputs, machine: await describeMachine(directory), syncMs: await syncTime(directory), runs };
}

/** Nothing is durable at the ceiling, so that its latency says nothing. */
function subjectsOf(load: LoadName): readonly Subject[] {
  return load === 'latency' ? ['worker'] : subjects;
}

async function measureOne(name: LoadName, subject: Subject, inputs: Inputs, parent: string): Promise<DriverResult> {
  const { valueBytes, recordCount } = inputs;
  const directory = await fs.mkdtemp(join(parent, `${name}-${subject}-`));
  await writeOut();
  const redis = await startRedis(join(directory, 'redis'));
  try {
    const profileDirectory = inputs.profileDirectory && resolve(inputs.profileDirectory, `${name}-${subject}`);
    const place = { redisUrl: redis.url, dataDirectory: join(directory, 'data'), valueBytes, profileDirectory };
    const consumer = await startConsumer(subject, place);
    const request: DriverRequest = {
      load: loadOf(name, recordCount),
      ...{ redisUrl: redis.url, valueBytes, consumerPid: consumer.pid, redisPid: redis.pid },
    };
    try {
      return await runChild<DriverResult>(driverProgram, request);
    } finally {
      await consumer.stop();
    }
  } finally {
    await redis.stop();
    await fs.rm(directory, { recursive: true, force: true });
  }
}

function checkHashes(runs: readonly ServiceRun[]): void {
  const wrong = runs.find(({ subject, hash, expectedHash }) => subject === 'worker' && hash !== expectedHash);
  if (wrong === undefined) return;
  throw new BenchError(`${wrong.load} read back other values: ${wrong.hash}, expected ${wrong.expectedHash}`);
}
