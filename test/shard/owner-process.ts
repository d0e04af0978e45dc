// Owns the shard directory given as the first argument until it is killed, or says why it cannot.
import { codeOf } from '../../src/base/errors.ts';
import { directoryLock } from '../../src/shard/owner-lock.ts';

const [, , directory = ''] = process.argv;
try {
  await directoryLock(directory).acquire();
  process.stdout.write('owned\n');
  process.stdin.resume();
} catch (error) {
  process.stdout.write(`refused: ${codeOf(error)}\n`);
}
