import fs from 'node:fs/promises';
import { messageOf } from '../../src/base/errors.ts';
import { type Input, inputsAt } from './inputs.ts';
import { type FileResult, unreadable } from './result.ts';
import { parseScenario } from './scenario.ts';
import { hasCrash, replayScenario } from './scenario-replay.ts';
import { realStage, simulatedStage, withScratch } from './stage.ts';
import { checkStore } from './store-check.ts';

/** The results of all scenarios and stores that the paths stand for, one after the other. */
export async function* runGolden(paths: readonly string[]): AsyncGenerator<FileResult> {
  for (const path of paths) {
    try {
      for (const input of await inputsAt(path)) yield await runInput(input);
    } catch (error) {
      yield unreadable(path, messageOf(error));
    }
  }
}

async function runInput(input: Input): Promise<FileResult> {
  try {
    return await (input.kind === 'store' ? runStore(input.path) : runScenario(input.path));
  } catch (error) {
    return unreadable(input.path, messageOf(error));
  }
}

function runStore(path: string): Promise<FileResult> {
  return withScratch((scratch) => checkStore(path, scratch));
}

/** On real files, or on the simulated disk when the scenario crashes. */
async function runScenario(path: string): Promise<FileResult> {
  const scenario = parseScenario(await fs.readFile(path, 'utf8'));
  if (hasCrash(scenario.steps)) return replayScenario(path, scenario, simulatedStage());
  return withScratch((scratch) => replayScenario(path, scenario, realStage(scratch)));
}
