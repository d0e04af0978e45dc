/**
 * A finished job as the value of a record: one JSON document.
 *
 * The same job always makes the same document: members stand in an order of their own, not in the one of Redis, which may
 * change while nothing else does. So archiving a job again finds it unchanged.
 *
 * JSON that BullMQ keeps as text (data, options, return value, …) stands in it as it was, byte for byte: numbers keep
 * their digits and members their order. What is not what it should be, and fields that this version does not know, stand
 * in `raw` as text, or in `rawBase64` where they are not UTF-8, under the name that they have in Redis.
 */
import { isUtf8 } from 'node:buffer';
import type { JobSnapshot, Pair } from './job-snapshot.ts';
import type { QueueAddress } from './queue-address.ts';

export const documentVersion = 1;

interface FieldRule {
  readonly name: string;
  readonly kind: 'text' | 'number' | 'json';
}

/** Fields of a job's hash: what they are called here, and what they hold. */
const fieldRules: ReadonlyMap<string, FieldRule> = new Map([
  ['name', { name: 'name', kind: 'text' }],
  ['data', { name: 'data', kind: 'json' }],
  ['opts', { name: 'opts', kind: 'json' }],
  ['returnvalue', { name: 'returnvalue', kind: 'json' }],
  ['failedReason', { name: 'failedReason', kind: 'text' }],
  ['stacktrace', { name: 'stacktrace', kind: 'json' }],
  ['progress', { name: 'progress', kind: 'json' }],
  ['timestamp', { name: 'timestamp', kind: 'number' }],
  ['processedOn', { name: 'processedOn', kind: 'number' }],
  ['delay', { name: 'delay', kind: 'number' }],
  ['priority', { name: 'priority', kind: 'number' }],
  ['ats', { name: 'attemptsStarted', kind: 'number' }],
  ['atm', { name: 'attemptsMade', kind: 'number' }],
  ['stc', { name: 'stalledCounter', kind: 'number' }],
  ['pb', { name: 'processedBy', kind: 'text' }],
  ['rjk', { name: 'repeatJobKey', kind: 'text' }],
  ['deid', { name: 'deduplicationId', kind: 'text' }],
  ['parentKey', { name: 'parentKey', kind: 'text' }],
  ['parent', { name: 'parent', kind: 'json' }],
  ['defa', { name: 'deferredFailure', kind: 'text' }],
]);

const fieldNames = [...fieldRules.keys()];

/** The document, as text. */
export function encodeDocument(address: QueueAddress, job: JobSnapshot): string {
  return new DocumentWriter().write(address, job);
}

class DocumentWriter {
  // Without a prototype any name is one, `__proto__` too.
  readonly #raw: Record<string, string> = Object.create(null);
  readonly #rawBase64: Record<string, string> = Object.create(null);

  write({ prefix, queue }: QueueAddress, job: JobSnapshot): string {
    const { id, state, finishedOn } = job;
    const head = { v: documentVersion, kind: 'bullmq-job', prefix, queue, id, state, finishedOn };
    const members = Object.entries(head).map(([name, value]) => member(name, JSON.stringify(value)));
    for (const [name, value] of inOrder(job.fields, fieldNames)) members.push(...this.#field(name, value, job));
    members.push(member('logs', this.#logs(job.logs)), ...this.#children(job));
    for (const [name, kept] of Object.entries({ raw: this.#raw, rawBase64: this.#rawBase64 }))
      if (Object.keys(kept).length > 0) members.push(member(name, JSON.stringify(kept)));
    return `{${members.join(',')}}`;
  }

  #field(name: Buffer, value: Buffer, { score }: JobSnapshot): readonly string[] {
    const field = name.toString();
    if (field === 'finishedOn' && value.toString() === score) return [];
    const rule = fieldRules.get(field);
    const json = rule === undefined ? undefined : jsonOf(value, rule.kind);
    if (rule !== undefined && json !== undefined) return [member(rule.name, json)];
    this.#keep(field, value);
    return [];
  }

  #logs(lines: readonly Buffer[]): string {
    const kept = lines.map((line, index) => jsonOf(line, 'text') ?? this.#instead(`logs[${index}]`, line));
    return `[${kept.join(',')}]`;
  }

  /** What a parent knows of its children, where it has any. */
  #children(job: JobSnapshot): readonly string[] {
    const { processedChildren, failedChildren, unsuccessfulChildren } = job;
    const parts: string[] = [];
    if (processedChildren.length > 0) parts.push(this.#childrenOf('processed', processedChildren, 'json'));
    if (failedChildren.length > 0) parts.push(this.#childrenOf('failed', failedChildren, 'text'));
    if (unsuccessfulChildren.length > 0)
      parts.push(member('unsuccessful', JSON.stringify(unsuccessfulChildren.map((key) => key.toString()))));
    return parts.length === 0 ? [] : [member('children', `{${parts.join(',')}}`)];
  }

  #childrenOf(outcome: string, children: readonly Pair[], kind: FieldRule['kind']): string {
    const members = inOrder(children).map(([key, value]) => {
      const name = key.toString();
      return member(name, jsonOf(value, kind) ?? this.#instead(`children.${outcome}.${name}`, value));
    });
    return member(outcome, `{${members.join(',')}}`);
  }

  #instead(name: string, value: Buffer): string {
    this.#keep(name, value);
    return 'null';
  }

  #keep(name: string, value: Buffer): void {
    if (isUtf8(value)) this.#raw[name] = value.toString();
    else this.#rawBase64[name] = value.toString('base64');
  }
}

/** Those with a known name first, in the order of these; the others by the bytes of their names. */
function inOrder(pairs: readonly Pair[], known: readonly string[] = []): readonly Pair[] {
  const rank = ([name]: Pair): number => {
    const place = known.indexOf(name.toString());
    return place < 0 ? known.length : place;
  };
  return [...pairs].sort((left, right) => rank(left) - rank(right) || Buffer.compare(left[0], right[0]));
}

function member(name: string, json: string): string {
  return `${JSON.stringify(name)}:${json}`;
}

const number = /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/;

/** The value as JSON that says exactly the same; `undefined` if it has none of that kind. */
function jsonOf(value: Buffer, kind: FieldRule['kind']): string | undefined {
  if (!isUtf8(value)) return undefined;
  const text = value.toString();
  if (kind === 'text') return JSON.stringify(text);
  if (kind === 'number') return number.test(text) ? text : undefined;
  return isJson(text) ? text : undefined;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
