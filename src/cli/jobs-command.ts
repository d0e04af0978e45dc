import type { Client } from '../client/client.ts';
import type { FoundJob, ReplayOutcome } from '../jobs/index.ts';
import { type QueueAddress, queueAddress } from '../jobs/queue-address.ts';
import { sizeText } from './amounts.ts';
import { connectClient } from './archive-client.ts';
import { defineCommand, type ExitCode, exitCodes, type Terminal, UsageError } from './command.ts';
import { queueRedisAddress, queueRedisOption } from './redis-address.ts';
import { clientOptions, configFrom } from './settings.ts';

const actions = ['find', 'show', 'replay'] as const;
type Action = (typeof actions)[number];

export const jobsCommand = defineCommand({
  name: 'jobs',
  summary: 'finds, shows and replays BullMQ jobs that archive-jobs has archived',
  description:
    'find says when jobs with this id ended, and how. show prints one as JSON, with data, options, return value, failed reason, stack and ' +
    'logs. replay puts one into its queue again, with its data and options; the new job has an id that follows from the archived one, so ' +
    'replaying twice runs it once, and says in its log and its options where it came from. Parent, scheduler and delay do not come along.\n' +
    'Ends with 1 when the archive has no such job, or nothing was added.',
  operands: { action: { summary: actions.join(', '), required: true } },
  options: {
    queue: { kind: 'text', placeholder: 'name', required: true, summary: 'name of the BullMQ queue' },
    id: { kind: 'text', placeholder: 'id', required: true, summary: 'id of the job' },
    prefix: { kind: 'text', placeholder: 'text', default: 'bull', summary: "the queue's prefix in Redis" },
    'finished-on': {
      kind: 'count',
      placeholder: 'ms',
      min: 0,
      max: Number.MAX_SAFE_INTEGER,
      summary: 'the one that ended at this time, as find says it; the newest otherwise',
    },
    'to-queue': { kind: 'text', placeholder: 'name', summary: 'replay: into this queue instead of its own' },
    as: { kind: 'text', placeholder: 'id', summary: 'replay: under this id instead of one that follows from the job' },
    json: { kind: 'flag', summary: 'print the answer of find and replay as JSON' },
    ...queueRedisOption,
    ...clientOptions,
  },
  examples: [
    {
      line: 'permafrost jobs find --queue mail --id 17',
      effect: 'see whether a job is in the archive, and when it ended',
    },
    { line: 'permafrost jobs show --queue mail --id 17 | jq .data', effect: 'look at its data' },
    { line: 'permafrost jobs replay --queue mail --id 17', effect: 'run it again' },
  ],
  async run({ operands, options }, terminal) {
    const action = actionOf(operands.action);
    const config = configFrom(options, terminal.environment);
    const { queue, id } = options;
    const redis = queueRedisAddress(options['queue-redis'], config);
    const address = queueAddress(queue, options.prefix);
    const client = await connectClient(config, terminal.clock);
    const use = new JobsUse(client, address, id, options['finished-on'], terminal);
    try {
      if (action === 'find') return await use.find(options.json);
      if (action === 'show') return await use.show();
      return await use.replay(options.json, async (found) => {
        const { replayJob } = await import('../jobs/replay-job.ts');
        return replayJob(found, redis, client, {
          toQueue: options['to-queue'],
          jobId: options.as,
          signal: terminal.interrupted,
        });
      });
    } catch (error) {
      if (!terminal.interrupted.aborted) throw error;
      return exitCodes.interrupted;
    } finally {
      await client.close();
    }
  },
});

function actionOf(word: string): Action {
  const action = actions.find((each) => each === word);
  if (action !== undefined) return action;
  throw new UsageError('unexpected-operand', `the action is one of ${actions.join(', ')}, not '${word}'`);
}

class JobsUse {
  readonly #client: Client;
  readonly #address: QueueAddress;
  readonly #id: string;
  readonly #finishedOn: number | undefined;
  readonly #terminal: Terminal;

  constructor(client: Client, address: QueueAddress, id: string, finishedOn: number | undefined, terminal: Terminal) {
    this.#client = client;
    this.#address = address;
    this.#id = id;
    this.#finishedOn = finishedOn;
    this.#terminal = terminal;
  }

  async find(json: boolean): Promise<ExitCode> {
    const found = await this.#found();
    if (found === undefined) return this.#missing(json);
    const { endsOfJob } = await import('../jobs/job-finder.ts');
    const ends = await endsOfJob(this.#client, this.#address, this.#id, { signal: this.#terminal.interrupted });
    const { key, cursor, state, end, document } = found;
    const bytes = Buffer.byteLength(document);
    const archived = found.archivedMs === undefined ? undefined : timeText(found.archivedMs);
    if (json) {
      const answer = { outcome: 'found', key, cursor, state, finishedOn: end.finishedOn, archived, bytes, ends };
      this.#terminal.output.write(`${JSON.stringify(answer)}\n`);
      return exitCodes.done;
    }
    const rows = [
      ['Job', `${this.#id} of ${this.#address.queue}, ${state} ${timeText(end.finishedOn)}`],
      ['Name', String(found.members.name ?? '')],
      ...(found.members.failedReason === undefined ? [] : [['Reason', String(found.members.failedReason)]]),
      ['Record', `${key}, ${sizeText(bytes)}, archived ${archived ?? 'some time'}`],
      ['Cursor', cursor ?? ''],
      ...(ends.length > 1 ? [['Ends', ends.map((time) => `${time} (${timeText(time)})`).join('\n        ')]] : []),
    ];
    this.#terminal.output.write(rows.map(([what = '', text]) => `${what.padEnd(8)}${text}\n`).join(''));
    return exitCodes.done;
  }

  async show(): Promise<ExitCode> {
    const found = await this.#found();
    if (found === undefined) return this.#missing(false);
    await new Promise<void>((resolve, reject) => {
      const text = `${JSON.stringify(found.members, null, 2)}\n`;
      this.#terminal.output.write(text, (error) => (error == null ? resolve() : reject(error)));
    });
    return exitCodes.done;
  }

  async replay(json: boolean, replay: (found: FoundJob) => Promise<ReplayOutcome>): Promise<ExitCode> {
    const found = await this.#found();
    if (found === undefined) return this.#missing(json);
    const outcome = await replay(found);
    this.#terminal.output.write(json ? `${JSON.stringify(outcome)}\n` : `${replayText(outcome)}\n`);
    return outcome.outcome === 'added' ? exitCodes.done : exitCodes.negative;
  }

  async #found(): Promise<FoundJob | undefined> {
    const { findJob } = await import('../jobs/job-finder.ts');
    const options = { finishedOn: this.#finishedOn, signal: this.#terminal.interrupted };
    return findJob(this.#client, this.#address, this.#id, options);
  }

  #missing(json: boolean): ExitCode {
    if (json) this.#terminal.output.write(`${JSON.stringify({ outcome: 'missing' })}\n`);
    else this.#terminal.notes.write('permafrost jobs: the archive has no such job\n');
    return exitCodes.negative;
  }
}

function replayText({ outcome, queue, jobId }: ReplayOutcome): string {
  switch (outcome) {
    case 'added':
      return `added to ${queue} as ${jobId}`;
    case 'present':
      return `not added: ${queue} has the job ${jobId} already`;
    case 'archived':
      return `not added: ${jobId} has run, and is in the archive; --as runs it once more under another id`;
    case 'deduplicated':
      return `not added: BullMQ takes it for the job ${jobId} of ${queue}, by its deduplication`;
  }
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
