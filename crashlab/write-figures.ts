/** `node crashlab/write-figures.ts <result.json>…`: puts what runs of the lab printed into docs/RELIABILITY.md. */
import { readFileSync, writeFileSync } from 'node:fs';
import { withFigures } from './figures.ts';
import type { Report } from './report.ts';

const document = new URL('../docs/RELIABILITY.md', import.meta.url);
const files = process.argv.slice(2);
if (files.length === 0) {
  process.stderr.write('usage: node crashlab/write-figures.ts <result.json>…\n');
  process.exit(2);
}
const reports = files.map((file): Report => JSON.parse(readFileSync(file, 'utf8')));
writeFileSync(document, withFigures(readFileSync(document, 'utf8'), reports));
