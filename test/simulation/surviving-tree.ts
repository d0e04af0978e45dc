import { Random } from './random.ts';
import type { Passage, SimulatedDirectory } from './simulated-directory.ts';
import type { SimulatedFile } from './simulated-file.ts';
import { drawFate, type Fate, fateOfAll, fateOfNothing, type Survival, sectorSizesByDefault } from './survival.ts';

/** The tree that is found after a crash; the one given stays as it is, so that many survivals can be taken of it. */
export function treeAfter(survival: Survival, root: SimulatedDirectory): SimulatedDirectory {
  if (survival === 'all')
    return pass(
      root,
      (file) => file.copy(),
      (directory, passage) => directory.copy(passage),
    );
  const fateOf = fates(survival);
  return pass(
    root,
    (file) => file.surviving(fateOf),
    (directory, passage) => directory.surviving(fateOf, passage),
  );
}

function fates(survival: Exclude<Survival, 'all'>): (count: number) => Fate {
  if (survival === 'synced') return () => fateOfNothing;
  if (survival === 'allDurable') return () => fateOfAll;
  const random = new Random(survival.seed);
  return (count) => drawFate(random, count, survival.sectorSizes ?? sectorSizesByDefault);
}

/** Takes each node over once, however many names it has. */
function pass(
  root: SimulatedDirectory,
  takeFile: (file: SimulatedFile) => SimulatedFile,
  takeDirectory: (directory: SimulatedDirectory, passage: Passage) => SimulatedDirectory,
): SimulatedDirectory {
  const files = new Map<SimulatedFile, SimulatedFile>();
  const directories = new Map<SimulatedDirectory, SimulatedDirectory>();
  const passage: Passage = {
    file: (node) => remembered(files, node, takeFile),
    directory: (node) => remembered(directories, node, (directory) => takeDirectory(directory, passage)),
  };
  return passage.directory(root);
}

function remembered<T>(known: Map<T, T>, node: T, take: (node: T) => T): T {
  const found = known.get(node);
  if (found !== undefined) return found;
  const taken = take(node);
  known.set(node, taken);
  return taken;
}
