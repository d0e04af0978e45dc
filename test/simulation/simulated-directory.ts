import type { SimulatedFile } from './simulated-file.ts';
import type { Fate } from './survival.ts';

export type SimulatedNode = SimulatedFile | SimulatedDirectory;

/** What one operation did to the names of one directory; `undefined` takes a name away. */
type Entries = readonly (readonly [name: string, node: SimulatedNode | undefined])[];

interface EntryChange {
  readonly number: number;
  readonly entries: Entries;
}

/** How the nodes below a directory come to be in another disk. A node with two names is the same node there. */
export interface Passage {
  file(node: SimulatedFile): SimulatedFile;
  directory(node: SimulatedDirectory): SimulatedDirectory;
}

/**
 * The names in one directory: as seen, and as the platter is known to have them.
 *
 * Each change is one operation, kept or lost as a whole: a rename inside a directory never loses both names.
 */
export class SimulatedDirectory {
  readonly kind = 'directory';
  #current: Map<string, SimulatedNode>;
  #durable: Map<string, SimulatedNode>;
  #changes: EntryChange[] = [];
  #lastNumber = 0;

  constructor(entries: ReadonlyMap<string, SimulatedNode> = new Map()) {
    this.#current = new Map(entries);
    this.#durable = new Map(entries);
  }

  get names(): string[] {
    return [...this.#current.keys()];
  }

  /** Number of the newest change: what a sync that is issued now covers. */
  get lastNumber(): number {
    return this.#lastNumber;
  }

  get undurableCount(): number {
    return this.#changes.length;
  }

  get(name: string): SimulatedNode | undefined {
    return this.#current.get(name);
  }

  change(entries: Entries): void {
    applyEntries(this.#current, entries);
    this.#changes.push({ number: ++this.#lastNumber, entries });
  }

  /** Changes names at once and durably, past the model. */
  replace(name: string, node: SimulatedNode | undefined): void {
    applyEntries(this.#current, [[name, node]]);
    applyEntries(this.#durable, [[name, node]]);
  }

  sync(upTo: number): void {
    const first = this.#changes.findIndex((change) => change.number > upTo);
    const durable = this.#changes.splice(0, first < 0 ? this.#changes.length : first);
    for (const change of durable) applyEntries(this.#durable, change.entries);
  }

  /** The same directory in the same state, for another disk. */
  copy(passage: Passage): SimulatedDirectory {
    const copied = new SimulatedDirectory();
    copied.#current = passed(this.#current, passage);
    copied.#durable = passed(this.#durable, passage);
    copied.#changes = this.#changes.map((change) => ({
      ...change,
      entries: change.entries.map(([name, node]) => [name, node && passedNode(node, passage)]),
    }));
    copied.#lastNumber = this.#lastNumber;
    return copied;
  }

  /** The directory as the platter has it after a power loss. */
  surviving(drawFate: (count: number) => Fate, passage: Passage): SimulatedDirectory {
    const entries = new Map(this.#durable);
    if (this.#changes.length > 0) {
      const fate = drawFate(this.#changes.length);
      for (const change of this.#changes) if (fate.kept()) applyEntries(entries, change.entries);
    }
    return new SimulatedDirectory(passed(entries, passage));
  }
}

function applyEntries(map: Map<string, SimulatedNode>, entries: Entries): void {
  for (const [name, node] of entries) {
    if (node === undefined) map.delete(name);
    else map.set(name, node);
  }
}

function passed(entries: ReadonlyMap<string, SimulatedNode>, passage: Passage): Map<string, SimulatedNode> {
  const result = new Map<string, SimulatedNode>();
  for (const [name, node] of entries) result.set(name, passedNode(node, passage));
  return result;
}

function passedNode(node: SimulatedNode, passage: Passage): SimulatedNode {
  return node.kind === 'file' ? passage.file(node) : passage.directory(node);
}
