/** `npm run bench -- <benchmark> [options]`. */
import { messageOf } from '../src/base/errors.ts';
import { BenchError } from './bench-error.ts';
import { benchEngine, engineUsage } from './engine/engine.ts';

const usage = `usage: npm run bench -- <benchmark> [options]

${engineUsage}`;

async function main(words: readonly string[]): Promise<number> {
  const [name, ...options] = words;
  switch (name) {
    case 'engine':
      await benchEngine(options);
      return 0;
    case undefined:
    case 'help':
    case '--help':
      console.log(usage);
      return name === undefined ? 2 : 0;
    default:
      throw new BenchError(`unknown benchmark "${name}"\n\n${usage}`);
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(`bench: ${error instanceof BenchError ? error.message : messageOf(error)}`);
  process.exitCode = error instanceof BenchError ? 2 : 1;
}
