import { readFileSync } from 'node:fs';
import type { ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';

export type SchemaName = 'put-job' | 'lookup-job' | 'reply' | 'receipts' | 'checkpoint-notice' | 'topology';

export const schemaNames: readonly SchemaName[] = [
  'put-job',
  'lookup-job',
  'reply',
  'receipts',
  'checkpoint-notice',
  'topology',
];

/** The published schema, compiled. */
export function schema(name: SchemaName): ValidateFunction {
  const url = new URL(`../../docs/schemas/${name}.schema.json`, import.meta.url);
  return new Ajv2020({ strict: false, allErrors: true }).compile(JSON.parse(readFileSync(url, 'utf8')));
}
