/**
 * Crashes a program at every step it takes on its disk, and checks what it finds afterwards.
 *
 * The workload runs once. Before each of its steps, and at its end, the disk is copied as it is: that copy is what a
 * crash at this point leaves behind. Each is then turned into several survivals (see `Survival`), and `verify` opens
 * the store on each and throws when something is wrong. With a depth of 2 each run of `verify` is recorded in the
 * same way and verified again at its own crash points, and so on.
 *
 * `events` is what had happened when the machine went down: workload and verify append to it whatever a later check
 * needs (attempted, acknowledged, seen), and a check gets the events before its crash. Appended events never change.
 *
 * A failure names the way to it. An exploration with this `path`, or `CRASH_PATH=<path>` in the environment, repeats
 * just that one.
 */
import { messageOf } from '../../src/base/errors.ts';
import { yieldToLoop } from '../../src/base/yield.ts';
import type { Issued } from './gate.ts';
import { mixSeed, Random } from './random.ts';
import { SimulatedDisk } from './simulated-disk.ts';
import type { Survival } from './survival.ts';

/** A program on a disk, and a check as well. */
export type Scenario<Event> = (disk: SimulatedDisk, events: Event[]) => Promise<void>;

export interface CrashExploration<Event> {
  readonly workload: Scenario<Event>;
  readonly verify: Scenario<Event>;
  readonly seed: number;
  /** Random survivals of each crash point, beside `synced`, `all` and `allDurable`; 4 if not given. */
  readonly randomSurvivals?: number;
  /** Sizes at whose multiples random survivals tear writes. */
  readonly sectorSizes?: readonly number[];
  /** 1 crashes the workload, 2 also the recovery after it, 3 also the recovery after that; 1 if not given. */
  readonly depth?: number;
  /** Crash points drawn inside each recovery; all of them if not given. */
  readonly nestedPointsMax?: number;
  /** The workload's steps to crash at; all of them if not given. */
  readonly pointFilter?: (step: number) => boolean;
  /** The disk that the workload starts on; a new one if not given. */
  readonly startDisk?: () => SimulatedDisk;
  /** The way to one state, as a failure names it; all states if not given. */
  readonly path?: string;
  /** Ends the exploration between two states; what was explored until then counts. */
  readonly signal?: AbortSignal;
}

export interface Explored {
  /** Moments at which the machine went down, at all depths. */
  points: number;
  /** Disks that were verified. */
  states: number;
}

/** A check that failed, and the way to it; the failure itself is the cause. */
export class CrashPointFailure extends Error {
  override readonly name = 'CrashPointFailure';
  /** What an exploration takes as its `path` to repeat this one. */
  readonly path: string;

  constructor(message: string, path: string, cause: unknown) {
    super(message, { cause });
    this.path = path;
  }
}

interface CrashPoint {
  readonly step: number;
  readonly place: string;
  readonly disk: SimulatedDisk;
  readonly eventCount: number;
}

/** One crash on the way to a state. */
interface Turn {
  readonly step: number;
  readonly place: string;
  readonly survival: string;
}

interface NamedSurvival {
  readonly name: string;
  readonly survival: Survival;
}

/** Throws a CrashPointFailure at the first state that does not verify; else says how many there were. */
export async function exploreCrashPoints<Event>(exploration: CrashExploration<Event>): Promise<Explored> {
  const explored: Explored = { points: 0, states: 0 };
  const events: Event[] = [];
  const disk = exploration.startDisk?.() ?? new SimulatedDisk();
  const points = await recordPoints(disk, events, exploration.workload, exploration.pointFilter);
  await explorePoints(exploration, explored, points, events, []);
  return explored;
}

async function explorePoints<Event>(
  exploration: CrashExploration<Event>,
  explored: Explored,
  points: readonly CrashPoint[],
  events: readonly Event[],
  way: readonly Turn[],
): Promise<void> {
  const wanted = wantedTurn(exploration, way.length);
  for (const point of points) {
    if (wanted !== undefined && wanted.step !== point.step) continue;
    if (await isStopped(exploration.signal)) return;
    explored.points++;
    for (const { name, survival } of survivalsOf(exploration, point.step, way)) {
      if (wanted !== undefined && wanted.survival !== name) continue;
      explored.states++;
      const turn = { step: point.step, place: point.place, survival: name };
      await exploreState(exploration, explored, point, survival, events.slice(0, point.eventCount), [...way, turn]);
    }
  }
}

async function exploreState<Event>(
  exploration: CrashExploration<Event>,
  explored: Explored,
  point: CrashPoint,
  survival: Survival,
  events: Event[],
  way: readonly Turn[],
): Promise<void> {
  const disk = point.disk.crash(survival);
  if (way.length >= (exploration.depth ?? 1)) {
    await failingWith(exploration.seed, way, () => exploration.verify(disk, events));
    return;
  }
  const nested = await failingWith(exploration.seed, way, () => recordPoints(disk, events, exploration.verify));
  await explorePoints(exploration, explored, drawnPoints(exploration, nested, way), events, way);
}

/** Runs a scenario and copies the disk before each step that the filter accepts, and at the end. */
async function recordPoints<Event>(
  disk: SimulatedDisk,
  events: Event[],
  scenario: Scenario<Event>,
  filter: (step: number) => boolean = () => true,
): Promise<CrashPoint[]> {
  const points: CrashPoint[] = [];
  const record = (step: number, place: string): void => {
    if (filter(step)) points.push({ step, place, disk: disk.clone(), eventCount: events.length });
  };
  disk.watchSteps((step, operation) => record(step, `before ${textOf(operation)}`));
  await scenario(disk, events);
  disk.watchSteps(undefined);
  record(disk.steps + 1, 'at the end');
  return points;
}

function drawnPoints<Event>(
  exploration: CrashExploration<Event>,
  points: readonly CrashPoint[],
  way: readonly Turn[],
): readonly CrashPoint[] {
  const countMax = exploration.nestedPointsMax ?? points.length;
  if (points.length <= countMax || wantedTurn(exploration, way.length) !== undefined) return points;
  const drawn = new Random(seedAt(exploration.seed, way)).shuffled(points).slice(0, countMax);
  return drawn.sort((one, other) => one.step - other.step);
}

function survivalsOf<Event>(exploration: CrashExploration<Event>, step: number, way: readonly Turn[]): NamedSurvival[] {
  const sectorSizes = exploration.sectorSizes === undefined ? {} : { sectorSizes: exploration.sectorSizes };
  const fixed = (['synced', 'all', 'allDurable'] as const).map((survival) => ({ name: survival, survival }));
  const random = Array.from({ length: exploration.randomSurvivals ?? 4 }, (_, index) => ({
    name: `random-${index}`,
    survival: { seed: mixSeed(seedAt(exploration.seed, way), step, index), ...sectorSizes },
  }));
  return [...fixed, ...random];
}

function seedAt(seed: number, way: readonly Turn[]): number {
  return mixSeed(seed, ...way.flatMap((turn) => [turn.step, ...Buffer.from(turn.survival)]));
}

/** The turn that is asked for at this depth; `undefined` when none is. */
function wantedTurn(
  { path = process.env.CRASH_PATH }: { readonly path?: string },
  depth: number,
): Pick<Turn, 'step' | 'survival'> | undefined {
  const turn = path?.split(',')[depth]?.split('/');
  return turn === undefined ? undefined : { step: Number(turn[0]), survival: turn[1] ?? '' };
}

/** Whether to end; gives the event loop a turn, without which a signal would never come. */
export async function isStopped(signal: AbortSignal | undefined): Promise<boolean> {
  if (signal === undefined) return false;
  await yieldToLoop();
  return signal.aborted;
}

async function failingWith<T>(seed: number, way: readonly Turn[], check: () => Promise<T>): Promise<T> {
  try {
    return await check();
  } catch (cause) {
    const turns = way.map((turn) => `step ${turn.step} (${turn.place}), survival ${turn.survival}`).join('; then ');
    const path = way.map((turn) => `${turn.step}/${turn.survival}`).join(',');
    const message = `seed ${seed}, depth ${way.length}: crash at ${turns}: ${messageOf(cause)} [path ${path}]`;
    throw new CrashPointFailure(message, path, cause);
  }
}

/** An operation in a few words. */
export function textOf(operation: Issued): string {
  const { kind, path, to, offset, size } = operation;
  const where = offset === undefined ? (size === undefined ? '' : ` to ${size}`) : ` at ${offset}, ${size} bytes`;
  return `${kind} of ${path || '.'}${to === undefined ? '' : ` to ${to}`}${where}`;
}
