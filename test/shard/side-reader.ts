/**
 * A reader beside the writers: asks for keys and cursors without a pause, through commits, syncs, resizes and second
 * instances, and judges every answer by what was promised when it asked.
 */
import type { Answer } from '../../src/shard/lookup.ts';
import type { Shard } from '../../src/shard/shard.ts';
import type { Random } from '../simulation/random.ts';
import { type Promises, questionOf, type ShardEvent } from './promises.ts';
import { turns } from './shard-harness.ts';

export interface ReadingPlan {
  readonly random: Random;
  readonly keys: readonly string[];
  readonly promises: Promises;
  /** Told what was seen for the first time. */
  readonly seen: (event: ShardEvent) => void;
  /** Only what is found is judged: it must be what was put under its key. What is not found may be lost. */
  readonly lossy?: boolean;
  /** Answers that count as none: reads fail. */
  readonly excused: readonly Answer['kind'][];
}

export class SideReader {
  readonly #shard: Shard;
  readonly #plan: ReadingPlan;
  readonly #over: Promise<void>;
  #stopped = false;
  #answers = 0;
  #answersWhileFull = 0;

  constructor(shard: Shard, plan: ReadingPlan) {
    this.#shard = shard;
    this.#plan = plan;
    this.#over = this.#run();
    this.#over.catch(() => {});
  }

  /** Answers that were judged. */
  get answers(): number {
    return this.#answers;
  }

  /** Of them, those that were given while the disk was full. */
  get answersWhileFull(): number {
    return this.#answersWhileFull;
  }

  /** Ends it; rejects with what was wrong. */
  stop(): Promise<void> {
    this.#stopped = true;
    return this.#over;
  }

  async #run(): Promise<void> {
    const { random } = this.#plan;
    while (!this.#stopped) {
      await this.#ask();
      await turns(random.between(1, 3));
    }
  }

  async #ask(): Promise<void> {
    const { random, promises } = this.#plan;
    const keys = random.shuffled(this.#plan.keys).slice(0, random.between(1, 5));
    const cursors = random.shuffled(promises.cursors).slice(0, random.between(0, 3));
    const asked = keys.map((key) => ({ key, newest: promises.newestOf(key) }));
    const answers = await this.#shard.lookupMany([...keys.map(questionOf), ...cursors.map((cursor) => ({ cursor }))]);
    if (this.#shard.state === 'disk-full') this.#answersWhileFull += answers.length;
    for (const [index, { key, newest }] of asked.entries()) {
      const answer = answers[index];
      if (!this.#isExcused(answer)) promises.judgeKey(key, newest, answer);
      this.#note(answer);
    }
    for (const [index, cursor] of cursors.entries()) {
      const answer = answers[keys.length + index];
      if (!this.#isExcused(answer)) promises.judgeCursor(cursor, answer);
    }
  }

  #isExcused(answer: Answer | undefined): boolean {
    this.#answers++;
    if (this.#plan.lossy === true) {
      this.#plan.promises.judgeFound(answer);
      return true;
    }
    return answer !== undefined && this.#plan.excused.includes(answer.kind);
  }

  #note(answer: Answer | undefined): void {
    if (this.#plan.lossy === true || answer?.kind !== 'found' || this.#plan.promises.isKnown(answer.cursor)) return;
    this.#plan.seen({ kind: 'seen', record: answer });
  }
}
