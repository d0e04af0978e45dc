/**
 * A run of the lab: simulated and surgical rounds one after the other in a thread of their own, beside them the rounds
 * with processes, servers and payloads in this one.
 */

import type { Clock } from '../src/base/clock.ts';
import { messageOf } from '../src/base/errors.ts';
import type { Experiment, Family } from './experiment.ts';
import { Lane, type LaneSettings, type StopReason } from './lane.ts';
import type { RoundPlace } from './round-place.ts';
import { Tally } from './tally.ts';

/** A round takes a few seconds; one of this many is stuck. */
export const roundLimitMs = 90_000;
export const graceMs = 20_000;

export interface LabSettings extends LaneSettings {
  readonly experiments: readonly Experiment[];
  /** Undefined: no limit but the number of rounds. */
  readonly durationMs: number | undefined;
}

export interface LabParts {
  readonly clock: Clock;
  readonly thread: RoundPlace;
  readonly here: RoundPlace;
  /** The user wants no more of it. */
  readonly interrupted: AbortSignal;
  /** Called after each round. */
  readonly roundEnded?: (tally: Tally) => void;
}

export interface LabResult {
  readonly endedBy: StopReason | 'rounds';
  readonly tookMs: number;
  readonly tallies: readonly Tally[];
}

/** How much longer, as a part of its duration, a run may take so that each experiment has its first round. */
export const overtime = 1;

const familiesOfThread: readonly Family[] = ['simulated', 'surgery'];

export class Lab {
  readonly #settings: LabSettings;
  readonly #parts: LabParts;
  readonly #startMs: number;
  #lanes: readonly Lane[] = [];
  #tallies: readonly Tally[] = [];
  #stopped: StopReason | undefined;

  constructor(settings: LabSettings, parts: LabParts) {
    this.#settings = settings;
    this.#parts = parts;
    this.#startMs = parts.clock.monotonicMs();
  }

  get tookMs(): number {
    return this.#parts.clock.monotonicMs() - this.#startMs;
  }

  /** What was done until now. */
  get tallies(): readonly Tally[] {
    return this.#tallies;
  }

  /** The experiments whose rounds run now. */
  get running(): readonly string[] {
    return this.#lanes.flatMap(({ running }) => running ?? []);
  }

  /** Never rejects for what an experiment does. */
  async run(): Promise<LabResult> {
    this.#tallies = await Promise.all(this.#settings.experiments.map(tallyOf));
    this.#lanes = this.#lanesOf(this.#tallies);
    const { clock, interrupted } = this.#parts;
    const { durationMs } = this.#settings;
    const interrupt = (): void => this.#stop('interrupted');
    const limits =
      durationMs === undefined
        ? []
        : [
            clock.after(durationMs, () => this.#stop('time')),
            clock.after(durationMs * (1 + overtime), () => this.#stop('overtime')),
          ];
    interrupted.addEventListener('abort', interrupt);
    if (interrupted.aborted) interrupt();
    await Promise.all(this.#lanes.map((lane) => lane.run()));
    for (const limit of limits) limit.cancel();
    interrupted.removeEventListener('abort', interrupt);
    this.#findAftermath();
    if (this.#stopped !== 'interrupted') this.#findIdle();
    return { endedBy: this.#stopped ?? 'rounds', tookMs: this.tookMs, tallies: this.#tallies };
  }

  #lanesOf(tallies: readonly Tally[]): readonly Lane[] {
    const { clock, thread, here, roundEnded } = this.#parts;
    const ended = roundEnded ?? (() => {});
    const inThread = (tally: Tally): boolean => familiesOfThread.includes(tally.experiment.family);
    return [
      new Lane(this.#settings, { clock, ended, place: thread, tallies: tallies.filter(inThread) }),
      new Lane(this.#settings, { clock, ended, place: here, tallies: tallies.filter((tally) => !inThread(tally)) }),
    ];
  }

  #stop(reason: StopReason): void {
    if (this.#stopped !== 'interrupted') this.#stopped = reason;
    for (const lane of this.#lanes) lane.stop(reason);
  }

  /** What no round was told of counts against the experiment that ran last. */
  #findAftermath(): void {
    const { thread, here } = this.#parts;
    for (const place of [thread, here]) {
      const left = place.aftermath?.();
      if (left === undefined) continue;
      const tally = this.#tallies.find(({ experiment }) => experiment.name === left.name) ?? this.#tallies[0];
      tally?.fallsShort(`after its last round ${left.message}`);
    }
  }

  /** An experiment that never came to the end of a round has shown nothing. */
  #findIdle(): void {
    for (const tally of this.#tallies) {
      if (tally.skipped !== undefined || tally.wholeRounds > 0 || tally.violations.length > 0) continue;
      tally.fallsShort('it got no whole round, although the lab took twice its time: give it more seconds');
    }
  }
}

async function tallyOf(experiment: Experiment): Promise<Tally> {
  try {
    return new Tally(experiment, await experiment.unavailable?.());
  } catch (error) {
    const tally = new Tally(experiment);
    tally.fallsShort(`whether it can run here could not be found out: ${messageOf(error)}`);
    return tally;
  }
}
