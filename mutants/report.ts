/** How the run shows what it found. */
import type { Mutant } from './mutant.ts';
import type { Fate, Proof } from './proof.ts';

/** Whether all is as it should be. */
export function allKilled(proofs: readonly Proof[]): boolean {
  return proofs.every(({ fate }) => fate.kind === 'killed');
}

/** The mutants that were not killed first, then the table and the sum of it. */
export function tableOf(proofs: readonly Proof[]): string {
  const rows = proofs.map(({ mutant, fate, seconds }) => [mutant.name, verdictOn(fate), seconds.toFixed(1)]);
  const lines = columns([['mutant', 'killed by', 'seconds'], ...rows]);
  const failures = proofs.filter(({ fate }) => fate.kind !== 'killed').map(failureText);
  const killed = proofs.length - failures.length;
  return [...lines, '', ...failures, `${killed} of ${proofs.length} mutants were killed`].join('\n');
}

/** The same as one JSON document. */
export function documentOf(proofs: readonly Proof[]): string {
  const mutants = proofs.map(({ mutant: { name, file, breaks, killer }, fate, seconds }) => {
    return { name, file, breaks, killer, fate: fate.kind, ...('by' in fate ? { by: fate.by } : {}), seconds };
  });
  const killed = proofs.filter(({ fate }) => fate.kind === 'killed').length;
  return JSON.stringify({ mutants, total: proofs.length, killed }, undefined, 2);
}

/** One line a mutant: what it is called and what it breaks. */
export function listOf(mutants: readonly Mutant[]): string {
  return columns(mutants.map(({ name, file, breaks }) => [name, file, breaks])).join('\n');
}

/** One line for whoever watches the run. */
export function progressLine({ mutant, fate, seconds }: Proof, count: number, total: number): string {
  return `${String(count).padStart(String(total).length)}/${total} ${mutant.name}: ${verdictOn(fate)} (${seconds.toFixed(1)} s)`;
}

function verdictOn(fate: Fate): string {
  switch (fate.kind) {
    case 'killed':
      return fate.by === 'timeout' ? `timeout of: ${fate.test}` : fate.test;
    case 'survived':
      return 'NOBODY: it survived';
    case 'stale':
      return 'NOT TRIED: its text is not in the source exactly once';
    case 'unproven':
      return 'NOT TRIED: its test does not pass without it';
    case 'unloadable':
      return 'NOT TRIED: its test cannot be loaded with it';
  }
}

function failureText({ mutant, fate }: Proof): string {
  const { name, file, breaks, killer } = mutant;
  return `${name}: ${verdictOn(fate)}\n  ${file}: ${breaks}\n  to be killed by: ${killer.file}: ${killer.test}\n`;
}

function columns(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
