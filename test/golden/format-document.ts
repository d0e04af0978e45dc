/** Reads docs/FORMAT.md: its layout tables, small tables of hex, and the files of its example. */
import assert from 'node:assert/strict';
import fs from 'node:fs';

export interface LayoutField {
  readonly offset: number;
  readonly size: number;
  readonly name: string;
}

export const documentText = fs.readFileSync(new URL('../../docs/FORMAT.md', import.meta.url), 'utf8');

/** The fields of the table under `#### Layout: <name>`. */
export function layoutOf(name: string): readonly LayoutField[] {
  const heading = `#### Layout: ${name}\n`;
  const start = documentText.indexOf(heading);
  assert.ok(start >= 0, `no layout named ${name}`);
  const rows = tableRows(documentText.slice(start + heading.length));
  return rows.map(([offset = '', size = '', field = '']) => ({
    offset: Number(offset),
    size: Number(size),
    name: field,
  }));
}

/** Names of all layouts of the document. */
export function layoutNames(): string[] {
  return [...documentText.matchAll(/^#### Layout: (.*)$/gm)].map((match) => match[1] ?? '');
}

/** What the layout finds in the bytes: each field in hex, by name. Fields lie back to back from 0 on. */
export function decodeAs(name: string, bytes: Buffer): Record<string, string> {
  let end = 0;
  const fields: Record<string, string> = {};
  for (const field of layoutOf(name)) {
    assert.equal(field.offset, end, `${name}: ${field.name} follows the field before it`);
    end += field.size;
    fields[field.name] = bytes.toString('hex', field.offset, end);
  }
  assert.equal(bytes.length, end, `${name}: size of the whole`);
  return fields;
}

/** Rows of the table with this header row: two columns, the second in hex. */
export function hexTable(header: string): ReadonlyMap<string, string> {
  const start = documentText.indexOf(`\n${header}\n`);
  assert.ok(start >= 0, `no table with the header ${header}`);
  const rows = tableRows(documentText.slice(start));
  return new Map(rows.map(([left = '', right = '']) => [left, right.replaceAll('`', '')]));
}

export interface ExampleFile {
  /** Puts, each with a sync, after which the file looks like this. */
  readonly putCount: number;
  readonly path: string;
  readonly hex: string;
}

/** The blocks of bytes of section 10. */
export function exampleFiles(): readonly ExampleFile[] {
  return [...documentText.matchAll(/^```bytes after (\d): (\S+)\n([^`]*)```$/gm)].map((match) => ({
    putCount: Number(match[1]),
    path: match[2] ?? '',
    hex: (match[3] ?? '').replaceAll(/\s/g, ''),
  }));
}

/** Cells of the first table in the text, without its header. */
function tableRows(text: string): string[][] {
  const [table = ''] = /(?:^\|.*\|\n)+/m.exec(text) ?? [];
  return table
    .trim()
    .split('\n')
    .slice(2)
    .map((row) =>
      row
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    );
}
