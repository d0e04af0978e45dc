import { maskedConfig } from '../service/config.ts';
import { defineCommand, exitCodes } from './command.ts';
import { allSettingOptions, configFrom } from './settings.ts';

export const workerCommand = defineCommand({
  name: 'worker',
  summary: 'owns a shard: archives what is put, answers lookups, publishes checkpoints',
  description:
    'Runs in the foreground and logs JSON lines. SIGTERM or Ctrl-C stops it well: intake ends, what is in hand is committed and ' +
    'answered, the shard is synced and given back; it then ends with 0. It owns its directory alone: a second worker on it is refused.\n' +
    'Every setting can be given as an option, as an environment variable (PERMAFROST_REDIS_URL for --redis-url), or in a JSON file; an ' +
    'option wins over the environment, and that over the files.',
  operands: {},
  options: {
    ...allSettingOptions,
    'print-config': { kind: 'flag', summary: 'print the settings that would be used, and end' },
  },
  examples: [
    { line: 'permafrost worker --redis-url redis://127.0.0.1:6379 --data-dir ./data', effect: 'run a worker' },
    { line: 'permafrost worker --print-config', effect: 'see every setting and its value' },
  ],
  async run({ options }, terminal) {
    const config = configFrom(options, terminal.environment);
    if (options['print-config'] === true) {
      terminal.output.write(`${JSON.stringify(maskedConfig(config), null, 2)}\n`);
      return exitCodes.done;
    }
    const { runWorker } = await import('../service/worker.ts');
    const status = await runWorker(config);
    return status === 0 ? exitCodes.done : exitCodes.unable;
  },
});
