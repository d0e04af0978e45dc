/**
 * Which folder of `src` may know which other one, and the check of it.
 *
 *     cli → service → queue → shard → freezer → journal → blob → disk → codec → base
 *           service, queue, client → protocol → codec → base
 *     cli → jobs → client
 *
 * A folder may import all that stands to its right on its own chain. `cli` may import everything; nothing imports `cli`.
 * Over all files the imports, type imports included, have no cycle, so the files inside a folder have none either.
 */
import { importedPath, importsOf } from './imports.ts';
import type { Source } from './source.ts';

const engine = ['shard', 'freezer', 'journal', 'blob', 'disk', 'codec', 'base'];
const wire = ['protocol', 'codec', 'base'];

/** What each folder may import beside itself. A folder that is not named here may not exist. */
export const mayImport: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ...engine.map((folder, index) => [folder, new Set(engine.slice(index + 1))] as const),
  ...wire.slice(0, 1).map((folder) => [folder, new Set(wire.slice(1))] as const),
  ['client', new Set(wire)] as const,
  ['jobs', new Set(['client', ...wire])] as const,
  ['queue', new Set([...wire, ...engine])] as const,
  ['service', new Set(['queue', ...wire, ...engine])] as const,
  ['cli', new Set(['jobs', 'client', 'service', 'queue', ...wire, ...engine])] as const,
]);

/** Each breach of the layers in the given files of `src`, as one line for people. None is an empty list. */
export function layerBreaches(sources: readonly Source[]): string[] {
  const edges = edgesOf(sources);
  return [
    ...sources.flatMap(({ path }) => (mayImport.has(folderOf(path)) ? [] : [`${path}: lies in no known layer of src`])),
    ...edges.flatMap((edge) => edgeBreach(edge, sources) ?? []),
    ...cyclesOf(edges).map((cycle) => `a cycle: ${cycle.join(' → ')}`),
  ];
}

interface Edge {
  readonly from: string;
  readonly to: string;
  readonly line: number;
}

function edgesOf(sources: readonly Source[]): Edge[] {
  return sources.flatMap((source) =>
    importsOf(source).flatMap(({ specifier, line }) => {
      const to = importedPath(source, specifier);
      return to === undefined ? [] : [{ from: source.path, to, line }];
    }),
  );
}

function edgeBreach(edge: Edge, sources: readonly Source[]): string | undefined {
  const place = `${edge.from}:${edge.line}`;
  if (!edge.to.startsWith('src/')) return `${place}: imports ${edge.to}, which lies outside src`;
  if (!sources.some(({ path }) => path === edge.to)) return `${place}: imports ${edge.to}, which is not there`;
  const from = folderOf(edge.from);
  const to = folderOf(edge.to);
  if (from === to || mayImport.get(from)?.has(to)) return undefined;
  return `${place}: ${from} may not import ${to} (${edge.to})`;
}

/** `codec` of `src/codec/varint.ts`; empty for a file that lies in `src` itself. */
function folderOf(path: string): string {
  const [, folder, ...rest] = path.split('/');
  return rest.length > 0 && folder !== undefined ? folder : '';
}

/** One cycle for each edge that closes one, as a list of files that begins and ends with the same. */
function cyclesOf(edges: readonly Edge[]): string[][] {
  const next = Map.groupBy(edges, (edge) => edge.from);
  const done = new Set<string>();
  const cycles: string[][] = [];
  const visit = (file: string, trail: readonly string[]): void => {
    const begin = trail.indexOf(file);
    if (begin >= 0) cycles.push([...trail.slice(begin), file]);
    if (begin >= 0 || done.has(file)) return;
    for (const edge of next.get(file) ?? []) visit(edge.to, [...trail, file]);
    done.add(file);
  };
  for (const file of next.keys()) visit(file, []);
  return cycles;
}
