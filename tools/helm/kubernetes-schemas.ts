/**
 * Makes the JSON schemas that the chart's output is validated by, from the Go modules of Kubernetes and of the Prometheus
 * Operator at the versions below: `node tools/helm/kubernetes-schemas.ts`. They are committed, so that a check needs
 * no network.
 *
 * Stricter than the originals: a field that is not there is refused. Descriptions are left out.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findGo } from './go.mjs';

/** The oldest that Chart.yaml admits, and the newest there is. */
export const kubernetesVersions = ['v1.28.0', 'v1.37.2'] as const;
const operatorVersion = 'v0.85.0';

export const schemaFolder = fileURLToPath(new URL('../../test/helm/fixtures/schemas', import.meta.url));

/** What the chart makes, as the OpenAPI document calls it. */
const kinds = {
  'configmap-v1': 'io.k8s.api.core.v1.ConfigMap',
  'pod-v1': 'io.k8s.api.core.v1.Pod',
  'service-v1': 'io.k8s.api.core.v1.Service',
  'serviceaccount-v1': 'io.k8s.api.core.v1.ServiceAccount',
  'statefulset-apps-v1': 'io.k8s.api.apps.v1.StatefulSet',
  'job-batch-v1': 'io.k8s.api.batch.v1.Job',
  'networkpolicy-networking-v1': 'io.k8s.api.networking.v1.NetworkPolicy',
  'poddisruptionbudget-policy-v1': 'io.k8s.api.policy.v1.PodDisruptionBudget',
} as const;

const customKinds = {
  'servicemonitor-monitoring-v1': 'servicemonitors-crd.json',
  'prometheusrule-monitoring-v1': 'prometheusrules-crd.json',
} as const;

interface Schema {
  readonly [field: string]: unknown;
}

const definitionPrefix = '#/definitions/';
const quantity = 'io.k8s.apimachinery.pkg.api.resource.Quantity';

/** A schema of its own for `name`, with all that it refers to. */
export function standalone(definitions: Readonly<Record<string, Schema>>, name: string): Schema {
  const needed = new Map<string, Schema>();
  const need = (wanted: string): void => {
    const found = definitions[wanted];
    if (needed.has(wanted) || found === undefined) return;
    const strict = wanted === quantity ? { type: ['string', 'number'] } : strictOf(found);
    needed.set(wanted, strict);
    for (const reference of referencesIn(strict)) need(reference);
  };
  need(name);
  const all = Object.fromEntries([...needed].sort(([a], [b]) => (a < b ? -1 : 1)));
  return { $ref: definitionPrefix + name, definitions: all };
}

/** The schema without prose, in which an object with properties has no others, and an int-or-string is either. */
export function strictOf(schema: Schema): Schema {
  if (schema['x-kubernetes-int-or-string'] === true || schema.format === 'int-or-string') {
    return { type: ['string', 'integer'] };
  }
  const entries = Object.entries(schema).flatMap(([field, value]): [string, unknown][] => {
    if (field === 'description' || field === 'format' || field === 'default' || field.startsWith('x-')) return [];
    if (field === 'properties') return [[field, mapped(asSchema(value), strictOf)]];
    if (field === 'items' || field === 'additionalProperties') return [[field, inner(value)]];
    if (Array.isArray(value) && ['allOf', 'anyOf', 'oneOf'].includes(field)) return [[field, value.map(inner)]];
    return [[field, value]];
  });
  const strict = Object.fromEntries(entries);
  const open = schema['x-kubernetes-preserve-unknown-fields'] === true || schema.properties === undefined;
  return open || 'additionalProperties' in strict ? strict : { ...strict, additionalProperties: false };
}

function inner(value: unknown): unknown {
  return isSchema(value) ? strictOf(value) : value;
}

function mapped(of: Schema, change: (schema: Schema) => Schema): Schema {
  return Object.fromEntries(Object.entries(of).map(([name, value]) => [name, change(asSchema(value))]));
}

function referencesIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(referencesIn);
  if (!isSchema(value)) return [];
  return Object.entries(value).flatMap(([field, child]) => {
    const refers = field === '$ref' && typeof child === 'string' && child.startsWith(definitionPrefix);
    return refers ? [child.slice(definitionPrefix.length)] : referencesIn(child);
  });
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function asSchema(value: unknown): Schema {
  if (!isSchema(value)) throw new Error('this is no schema');
  return value;
}

/** The folder of a Go module's sources, fetched if it is not there. */
function moduleFolder(module: string): string {
  const go = findGo();
  if ('reason' in go) throw new Error(go.reason);
  const told = execFileSync(go.program, ['mod', 'download', '-json', module], { encoding: 'utf8' });
  return JSON.parse(told).Dir;
}

function writeSchema(folder: string, name: string, schema: Schema): void {
  mkdirSync(join(schemaFolder, folder), { recursive: true });
  writeFileSync(join(schemaFolder, folder, `${name}.json`), `${JSON.stringify(schema)}\n`);
}

function writeKubernetes(version: string): void {
  const folder = moduleFolder(`k8s.io/kubernetes@${version}`);
  const { definitions } = JSON.parse(readFileSync(join(folder, 'api/openapi-spec/swagger.json'), 'utf8'));
  for (const [name, kind] of Object.entries(kinds)) writeSchema(version, name, standalone(definitions, kind));
}

function writeOperator(): void {
  const module = 'github.com/prometheus-operator/prometheus-operator';
  const folder = join(moduleFolder(`${module}@${operatorVersion}`), 'jsonnet', 'prometheus-operator');
  for (const [name, file] of Object.entries(customKinds)) {
    const { spec } = JSON.parse(readFileSync(join(folder, file), 'utf8'));
    const version = spec.versions.find(({ name: of }: { name: string }) => of === 'v1');
    const { metadata, ...schema } = strictOf(version.schema.openAPIV3Schema).properties as Schema;
    const properties = { ...schema, metadata: asSchema(metadata ?? { type: 'object' }) };
    writeSchema('operator', name, { type: 'object', required: ['spec'], additionalProperties: false, properties });
  }
}

if (import.meta.main) {
  rmSync(schemaFolder, { recursive: true, force: true });
  for (const version of kubernetesVersions) writeKubernetes(version);
  writeOperator();
}
