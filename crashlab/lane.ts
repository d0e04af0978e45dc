/**
 * One lane of the lab: experiments that take turns in one place, a round at a time.
 *
 * Each gets its first round before any gets its second. The first round of every experiment has the lab's own seed, so
 * that a run of one experiment and one round repeats any round; later seeds are derived from it.
 *
 * When the time of the lab is up, no second round begins and those that run are told to stop; experiments that had no
 * round yet still get theirs, until the overtime is up as well. A round is also told to stop when the lab is interrupted
 * and when it takes longer than the limit. One that has been told to stop and does not end within the grace has hung:
 * it is given up. Both are failures that name the round.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Timer } from '../src/base/clock.ts';
import { mixSeed } from '../test/simulation/random.ts';
import type { Experiment, Round } from './experiment.ts';
import type { RoundEnd } from './round-end.ts';
import type { RoundPlace } from './round-place.ts';
import type { Tally } from './tally.ts';

export interface LaneSettings {
  readonly seed: number;
  /** Rounds of each experiment; without it until the lane is stopped. */
  readonly rounds: number | undefined;
  readonly path: string | undefined;
  /** Rounds get their directories below it. */
  readonly directory: string;
  readonly roundLimitMs: number;
  /** How long a round that was told to stop may still take. */
  readonly graceMs: number;
}

/**
 * Why a lane stops before its rounds are done: `time` leaves it the first rounds that are due, `overtime` and
 * `interrupted` nothing.
 */
export type StopReason = 'time' | 'overtime' | 'interrupted';

interface Running {
  readonly tally: Tally;
  readonly seed: number;
  readonly tellToStop: () => void;
}

export class Lane {
  readonly #settings: LaneSettings;
  readonly #clock: Clock;
  readonly #place: RoundPlace;
  readonly #tallies: readonly Tally[];
  readonly #ended: (tally: Tally) => void;
  #stopped: StopReason | undefined;
  #running: Running | undefined;
  #roundCount = 0;

  /** `ended` is called after each round, when its tally is up to date. */
  constructor(
    settings: LaneSettings,
    parts: {
      readonly clock: Clock;
      readonly place: RoundPlace;
      readonly tallies: readonly Tally[];
      readonly ended: (tally: Tally) => void;
    },
  ) {
    this.#settings = settings;
    this.#clock = parts.clock;
    this.#place = parts.place;
    this.#tallies = parts.tallies;
    this.#ended = parts.ended;
  }

  /** The experiment whose round runs now. */
  get running(): string | undefined {
    return this.#running?.tally.experiment.name;
  }

  /** Resolves when all rounds are done or the lane was stopped. */
  async run(): Promise<void> {
    try {
      for (let number = 0; number < (this.#settings.rounds ?? Number.POSITIVE_INFINITY); number++) {
        const active = this.#tallies.filter((tally) => tally.active);
        if (active.length === 0) return;
        for (const tally of active) {
          if (this.#stopped !== undefined && !(this.#stopped === 'time' && number === 0)) return;
          await this.#round(tally, number);
        }
      }
    } finally {
      await this.#place.close();
    }
  }

  stop(reason: StopReason): void {
    this.#stopped = reason;
    const running = this.#running;
    if (running === undefined) return;
    if (reason !== 'time' || running.tally.wholeRounds > 0) running.tellToStop();
  }

  async #round(tally: Tally, number: number): Promise<void> {
    const { seed: labSeed, path, directory: parent } = this.#settings;
    const { name } = tally.experiment;
    const seed = number === 0 ? labSeed : mixSeed(labSeed, number, ...Buffer.from(name));
    const directory = join(parent, `${name}-${++this.#roundCount}`);
    await mkdir(directory);
    const end = await this.#withinLimits(tally, { seed, directory, ...(path !== undefined && { path }) });
    await rm(directory, { recursive: true, force: true }).catch((error: unknown) => tally.leftBehind(seed, error));
    tally.add(seed, end, path);
    this.#ended(tally);
  }

  /** The round's end; a violation when it was overdue or hung. */
  async #withinLimits(tally: Tally, round: Omit<Round, 'signal'>): Promise<RoundEnd> {
    const { roundLimitMs, graceMs } = this.#settings;
    const controller = new AbortController();
    const hung = Promise.withResolvers<'hung'>();
    let overdue = false;
    let grace: Timer | undefined;
    const tellToStop = (): void => {
      grace ??= this.#clock.after(graceMs, () => hung.resolve('hung'));
      controller.abort();
    };
    const limit = this.#clock.after(roundLimitMs, () => {
      overdue = true;
      tellToStop();
    });
    this.#running = { tally, seed: round.seed, tellToStop };
    const end = await Promise.race([
      this.#run(tally.experiment, { ...round, signal: controller.signal }),
      hung.promise,
    ]);
    this.#running = undefined;
    limit.cancel();
    grace?.cancel();
    if (end === 'hung') await this.#place.abandon();
    return judged(end, overdue, this.#settings);
  }

  #run(experiment: Experiment, round: Round): Promise<RoundEnd> {
    return this.#place.run(experiment, round);
  }
}

function judged(end: RoundEnd | 'hung', overdue: boolean, { roundLimitMs, graceMs }: LaneSettings): RoundEnd {
  if (end === 'hung') {
    const reason = overdue ? `after ${roundLimitMs / 1000} s ` : '';
    return { kind: 'violation', message: `hung: told to stop ${reason}it did not end within ${graceMs / 1000} s` };
  }
  if (!overdue || end.kind === 'violation') return end;
  return { kind: 'violation', message: `took longer than ${roundLimitMs / 1000} s, the limit of a round` };
}
