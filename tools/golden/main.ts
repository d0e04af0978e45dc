/** `npm run --silent golden -- <paths…>` and `npm run --silent golden -- --conformance`. */
import { parseArgs } from 'node:util';
import { messageOf } from '../../src/base/errors.ts';
import { SimulatedDisk } from '../../test/simulation/simulated-disk.ts';
import { conformanceHash, conformanceStoreCount } from './conformance.ts';
import { GoldenError } from './golden-error.ts';
import { runGolden } from './run.ts';

const usage = `usage: npm run --silent golden -- <paths…>
       npm run --silent golden -- --conformance [--stores N]

A path is a scenario, a directory of a store (with expect.json), or a directory that contains such. Prints one JSON
line a file; the exit status is 1 when anything is not as expected or cannot be read.
--conformance prints the hash over the ${conformanceStoreCount} stores of the published workload, or over the first N of them.`;

async function main(words: readonly string[]): Promise<number> {
  const { values, positionals } = parsed(words);
  if (values.help) {
    console.log(usage);
    return 0;
  }
  if (values.conformance) {
    if (positionals.length > 0) throw new GoldenError(`--conformance takes no paths\n\n${usage}`);
    console.log(await conformanceHash(storeCount(values.stores), () => new SimulatedDisk()));
    return 0;
  }
  if (positionals.length === 0) throw new GoldenError(`no path given\n\n${usage}`);
  let failed = false;
  for await (const result of runGolden(positionals)) {
    console.log(JSON.stringify(result));
    if (result.mismatches > 0) {
      failed = true;
      console.error(`golden: ${result.file}: ${result.first}`);
    }
  }
  return failed ? 1 : 0;
}

function parsed(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      allowPositionals: true,
      options: {
        conformance: { type: 'boolean', default: false },
        stores: { type: 'string', default: String(conformanceStoreCount) },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    throw new GoldenError(`${messageOf(error)}\n\n${usage}`);
  }
}

function storeCount(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && count <= conformanceStoreCount) return count;
  throw new GoldenError(`--stores takes a number from 1 to ${conformanceStoreCount}, found "${text}"`);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(`golden: ${messageOf(error)}`);
  process.exitCode = 1;
}
