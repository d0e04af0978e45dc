import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../bench/main.ts', import.meta.url));

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the benchmarks as their npm script does. */
export function bench(...words: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...words], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

/** A directory that goes with the test. */
export async function scratch(context: TestContext): Promise<string> {
  const directory = await fs.mkdtemp(join(os.tmpdir(), 'permafrost-bench-test-'));
  context.after(() => fs.rm(directory, { recursive: true, force: true }));
  return directory;
}
