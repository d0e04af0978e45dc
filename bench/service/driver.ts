/** Child process of `bench service`: produces one load, measures it, and prints one JSON line. */
import { unreachable } from '../../src/base/assert.ts';
import { answerParent } from '../child.ts';
import type { Load } from './loads.ts';
import { driveLookups } from './lookup-driver.ts';
import { type Clocked, Meter, type Metered, type Times, timesOf } from './meter.ts';
import { driveLatency, drivePuts } from './put-driver.ts';

export interface DriverRequest {
  readonly load: Load;
  readonly redisUrl: string;
  readonly valueBytes: number;
  /** Whose processor time is measured beside the driver's own. */
  readonly consumerPid: number;
  readonly redisPid: number;
}

export interface DriverResult extends Metered {
  /** Records put, or keys looked up. */
  readonly itemCount: number;
  /** Of single jobs, where they are known. */
  readonly times: Times | undefined;
  readonly hash: string | undefined;
  readonly expectedHash: string | undefined;
}

async function drive(request: DriverRequest): Promise<DriverResult> {
  const { load, redisUrl, valueBytes } = request;
  const meter = new Meter([request.consumerPid, request.redisPid, process.pid]);
  const clocked: Clocked = (work) => meter.measure(work);
  switch (load.kind) {
    case 'puts':
      await drivePuts(redisUrl, valueBytes, load, clocked);
      return { ...meter.result, itemCount: load.jobCount * load.recordsPerJob, ...untimed };
    case 'lookups': {
      const { timesMs, hash, expectedHash } = await driveLookups(redisUrl, valueBytes, load, clocked);
      const itemCount = load.jobCount * load.keysPerJob;
      return { ...meter.result, itemCount, times: timesOf(timesMs), hash, expectedHash };
    }
    case 'latency': {
      const timesMs = await driveLatency(redisUrl, valueBytes, load);
      const ms = timesMs.reduce((sum, time) => sum + time, 0);
      return { ...untimed, ms, itemCount: load.putCount, processor: undefined, times: timesOf(timesMs) };
    }
    default:
      return unreachable(load);
  }
}

const untimed = { times: undefined, hash: undefined, expectedHash: undefined } as const;

if (import.meta.main) await answerParent(drive);
