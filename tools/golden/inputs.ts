import fs from 'node:fs/promises';
import { join } from 'node:path';
import { GoldenError } from './golden-error.ts';
import { expectationName } from './store-check.ts';

export interface Input {
  readonly kind: 'scenario' | 'store';
  readonly path: string;
}

const scenarioEnding = '.txt';

/** The scenarios and stores that a path stands for, in the order of their names; none is a GoldenError. */
export async function inputsAt(path: string): Promise<readonly Input[]> {
  const stat = await fs.stat(path);
  if (stat.isFile()) return [{ kind: 'scenario', path }];
  const inputs = await inputsBelow(path);
  if (inputs.length === 0) throw new GoldenError('a directory without scenarios (*.txt) or stores (expect.json)');
  return inputs;
}

async function inputsBelow(directory: string): Promise<readonly Input[]> {
  const entries = await fs.readdir(directory, { withFileTypes: true });
  if (entries.some((entry) => entry.name === expectationName)) return [{ kind: 'store', path: directory }];
  const found: Input[] = [];
  for (const entry of entries.sort((left, right) => (left.name < right.name ? -1 : 1))) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) found.push(...(await inputsBelow(path)));
    else if (entry.name.endsWith(scenarioEnding)) found.push({ kind: 'scenario', path });
  }
  return found;
}
