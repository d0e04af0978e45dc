/**
 * The part of the chart's values.schema.json that the worker's own settings fill: what `config` may hold. Run it after a
 * setting was added, removed or given another range: `node tools/helm/worker-settings.ts`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type SettingInfo, settings } from '../../src/service/config.ts';
import type { NumberRange } from '../../src/service/config-formats.ts';

export const valuesSchemaPath = fileURLToPath(new URL('../../helm/values.schema.json', import.meta.url));

/** Set by the chart from values of its own, so that workers and jobs agree, and so refused in `config`. */
const ownKeys = /^(archive|shards?|dataDir|closeDeadlineMs|redis\.(url|username|password|\w+File)|http\..*)$/;

export interface ObjectSchema {
  readonly type: 'object';
  readonly additionalProperties: false;
  readonly properties: Record<string, ObjectSchema | LeafSchema>;
}

interface LeafSchema {
  readonly type: 'string' | 'integer' | 'boolean';
  readonly description: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly enum?: readonly (string | number)[];
}

/** What the value `config` may be: every setting that the chart does not set itself, with its type and range. */
export function workerSettingsSchema(infos: readonly SettingInfo[] = settings): ObjectSchema {
  const all = emptyObject();
  for (const info of infos) {
    if (!ownKeys.test(info.key)) add(all, info.key.split('.'), info);
  }
  return all;
}

function add(to: ObjectSchema, [first = '', ...rest]: readonly string[], info: SettingInfo): void {
  if (rest.length === 0) {
    to.properties[first] = leaf(info);
    return;
  }
  const within = to.properties[first] ?? emptyObject();
  to.properties[first] = within;
  if (within.type === 'object') add(within, rest, info);
}

function leaf({ default: value, range, words, doc }: SettingInfo): LeafSchema {
  if (typeof value === 'boolean') return { type: 'boolean', description: doc };
  if (typeof value === 'string')
    return { type: 'string', description: doc, ...(words !== undefined && { enum: words }) };
  return { type: 'integer', description: doc, ...(range !== undefined && numbers(range)) };
}

function numbers({ min, max, powersOfTwo }: NumberRange): Pick<LeafSchema, 'minimum' | 'maximum' | 'enum'> {
  if (!powersOfTwo) return { minimum: min, maximum: max };
  const powers: number[] = [];
  for (let power = 1; power <= max; power *= 2) if (power >= min) powers.push(power);
  return { enum: powers };
}

function emptyObject(): ObjectSchema {
  return { type: 'object', additionalProperties: false, properties: {} };
}

if (import.meta.main) {
  const schema = JSON.parse(readFileSync(valuesSchemaPath, 'utf8'));
  schema.properties.config = workerSettingsSchema();
  writeFileSync(valuesSchemaPath, `${JSON.stringify(schema, null, 2)}\n`);
}
