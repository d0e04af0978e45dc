import { messageOf } from '../base/errors.ts';
import type { ArchiveJobsProblem, ArchiveJobsProgress, ArchiveJobsSummary } from '../jobs/archive-finished-jobs.ts';
import { type FinishedState, finishedStates } from '../jobs/queue-address.ts';
import { countText, sizeText } from './amounts.ts';
import { connectClient } from './archive-client.ts';
import { defineCommand, type ExitCode, exitCodes, type Output, UsageError } from './command.ts';
import { durationMs } from './durations.ts';
import { Progress } from './progress.ts';
import { queueRedisAddress, queueRedisOption } from './redis-address.ts';
import { clientOptions, configFrom } from './settings.ts';

/** Longer than the lease of an archiver that was killed: the one that is started in its place goes on by itself. */
const busyWaitMs = 20_000;

export const archiveJobsCommand = defineCommand({
  name: 'archive-jobs',
  summary: 'moves finished jobs of BullMQ queues out of Redis and into the archive',
  description:
    'Reads the finished jobs of a queue, oldest first, archives each as one record with all that belongs to it (data, options, return value, ' +
    'failed reason, stack, logs, times, attempts), and removes it from Redis only when the record is on disk, the margin has passed, and the ' +
    'archive has given it back. A job that changed meanwhile, or that a flow, a scheduler or a worker still needs, stays. It may be ended at ' +
    'any moment; run again, it goes on.\nEnds with 1 when jobs stay that the archive did not take. permafrost jobs finds what was archived.',
  operands: {},
  options: {
    queue: { kind: 'list', placeholder: 'name', required: true, summary: 'name of a BullMQ queue' },
    prefix: { kind: 'text', placeholder: 'text', default: 'bull', summary: "the queues' prefix in Redis" },
    states: {
      kind: 'text',
      placeholder: 'list',
      default: finishedStates.join(','),
      summary: 'which finished jobs: completed, failed, or both',
    },
    'older-than': {
      kind: 'text',
      placeholder: 'time',
      default: '0s',
      summary: 'only jobs that finished so long ago: 90s, 15m, 1h, 7d',
    },
    keep: {
      kind: 'count',
      placeholder: 'n',
      min: 0,
      max: 1_000_000_000,
      default: 0,
      summary: 'so many of the newest of each queue and state stay',
    },
    watch: { kind: 'flag', summary: 'go on until Ctrl-C: look again and again' },
    interval: { kind: 'text', placeholder: 'time', default: '60s', summary: 'with --watch: time between two looks' },
    'dry-run': { kind: 'flag', summary: 'only count what would be archived; needs no worker' },
    rate: { kind: 'count', placeholder: 'n', min: 1, max: 1_000_000, summary: 'jobs a second at most' },
    margin: {
      kind: 'text',
      placeholder: 'time',
      default: '5s',
      summary: 'time between the receipt of a job and its removal',
    },
    json: { kind: 'flag', summary: 'print the counts as JSON' },
    ...queueRedisOption,
    ...clientOptions,
  },
  examples: [
    {
      line: 'permafrost archive-jobs --queue mail --dry-run',
      effect: 'see how many jobs could leave, and how large they are',
    },
    {
      line: 'permafrost archive-jobs --queue mail --queue reports --older-than 1h --keep 1000',
      effect: 'archive what is older than an hour, except for the newest thousand',
    },
    {
      line: 'permafrost archive-jobs --queue mail --older-than 15m --watch --rate 2000',
      effect: 'keep a queue small for good, and go easy on Redis',
    },
  ],
  async run({ options }, terminal) {
    const config = configFrom(options, terminal.environment);
    const settings = {
      queue: options.queue,
      prefix: options.prefix,
      states: statesOf(options.states),
      olderThanMs: durationMs('older-than', options['older-than']),
      keepCount: options.keep,
      marginMs: durationMs('margin', options.margin),
      jobsPerSecondMax: options.rate,
      dryRun: options['dry-run'],
      watchIntervalMs: options.watch ? Math.max(1, durationMs('interval', options.interval)) : undefined,
      valueBytesMax: Math.min(config.limits.valueBytesMax, 32 * 1024 * 1024),
      redis: queueRedisAddress(options['queue-redis'], config),
      connectTimeoutMs: config.redis.startTimeoutMs,
      busyWaitMs,
    };
    const { archiveFinishedJobs } = await import('../jobs/archive-finished-jobs.ts');
    const client = options['dry-run'] ? undefined : await connectClient(config, terminal.clock);
    const progress = new Progress({ label: 'archive-jobs', unit: 'jobs' }, terminal.notes, terminal.clock);
    const problems = new JobProblems(terminal.notes, progress);
    try {
      const summary = await archiveFinishedJobs(
        {
          ...settings,
          client,
          signal: terminal.interrupted,
          onProgress: (now) => progress.update(doneCount(now, options['dry-run']), now.expectedCount, noteOf(now)),
          onProblem: (problem) => problems.tell(problem),
        },
        { clock: terminal.clock },
      );
      progress.end();
      terminal.output.write(
        options.json ? `${JSON.stringify(summary)}\n` : `${summaryText(summary, options['dry-run'])}\n`,
      );
      if (terminal.interrupted.aborted && !options.watch) return interrupted(summary, terminal.notes);
      return statusOf(summary);
    } finally {
      progress.clear();
      await client?.close();
    }
  },
});

function statesOf(text: string): readonly FinishedState[] {
  return text.split(',').map((word) => {
    const state = finishedStates.find((each) => each === word.trim());
    if (state !== undefined) return state;
    throw new UsageError(
      'invalid-option',
      `--states must be one of ${finishedStates.join(', ')}, or both, not '${text}'`,
    );
  });
}

/** Jobs that there is nothing left to do about in this pass. */
function doneCount(now: ArchiveJobsProgress, dryRun: boolean): number {
  return dryRun ? now.metCount : now.removedCount + stayCount(now);
}

function stayCount({ stays }: ArchiveJobsSummary): number {
  return Object.values(stays).reduce((sum, count) => sum + count, 0);
}

function noteOf(now: ArchiveJobsProgress): string {
  const waiting = now.archivedCount + now.unchangedCount - now.removedCount;
  return [
    ...(waiting > 0 ? [`${countText(waiting)} on disk`] : []),
    ...(stayCount(now) > 0 ? [`${countText(stayCount(now))} stay`] : []),
  ].join(', ');
}

function summaryText(summary: ArchiveJobsSummary, dryRun: boolean): string {
  const { metCount, readyCount, readyBytes, archivedCount, unchangedCount, archivedBytes, removedCount } = summary;
  const stays = Object.entries(summary.stays).filter(([, count]) => count > 0);
  const stayText = stays.map(([reason, count]) => `${countText(count)} ${reason}`).join(', ');
  const suffix = stays.length === 0 ? '' : `; left in Redis: ${stayText}`;
  if (dryRun)
    return `${countText(metCount)} met, ${countText(readyCount)} would be archived and removed, about ${sizeText(readyBytes)}${suffix}`;
  const known = unchangedCount === 0 ? '' : ` and ${countText(unchangedCount)} were archived already`;
  return `${countText(archivedCount)} archived${known} (${sizeText(archivedBytes)}), ${countText(removedCount)} removed from Redis${suffix}`;
}

function statusOf({ stays }: ArchiveJobsSummary): ExitCode {
  return stays.refused + stays.unconfirmed + stays['too-large'] > 0 ? exitCodes.negative : exitCodes.done;
}

function interrupted({ archivedCount, unchangedCount, removedCount }: ArchiveJobsSummary, notes: Output): ExitCode {
  const waiting = archivedCount + unchangedCount - removedCount;
  notes.write(
    `permafrost archive-jobs: interrupted; ${countText(waiting)} jobs are on disk and still in Redis: run it again to go on\n`,
  );
  return exitCodes.interrupted;
}

/** Jobs that are told one by one; the rest is only counted. */
const toldMax = 20;

class JobProblems {
  readonly #output: Output;
  readonly #progress: Progress;
  #count = 0;

  constructor(output: Output, progress: Progress) {
    this.#output = output;
    this.#progress = progress;
  }

  tell(problem: ArchiveJobsProblem): void {
    this.#progress.clear();
    if (problem.kind === 'pass') {
      this.#output.write(`${problem.queue}: ${messageOf(problem.error)}; trying again\n`);
      return;
    }
    this.#count += 1;
    if (this.#count > toldMax + 1) return;
    const { queue, id, reason, message } = problem;
    this.#output.write(
      this.#count > toldMax
        ? 'more jobs that stay are only counted\n'
        : `stays (${reason}) ${queue} ${id}: ${message}\n`,
    );
  }
}
