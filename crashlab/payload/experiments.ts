/**
 * Payloads: what producers send that no contract allows, posted to a real worker through a real Redis. The bad ones are
 * refused with their reason and store nothing, good ones in between are stored, and the worker lives on within a bound
 * of memory: see `memoryBoundMib` for what it is made of.
 */
import { readdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import fc from 'fast-check';
import { parseJobText } from '../../src/protocol/job-text.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { decodeLookupJob } from '../../src/protocol/lookup-job.ts';
import { ProtocolError } from '../../src/protocol/protocol-error.ts';
import { decodePutJob } from '../../src/protocol/put-job.ts';
import { mutated, rightMessages, throughJson } from '../../test/protocol/broken-messages.ts';
import type { Experiment } from '../experiment.ts';
import { liveExperiment } from '../live/live-experiment.ts';
import { expect, type Site } from '../live/site.ts';
import { nastyPayloads, poison } from './nasty-payloads.ts';
import {
  type Fate,
  jobBytesMax,
  type Letter,
  missingProcfs,
  PostOffice,
  requireMemory,
  requireNothingElse,
  valueBytesMax,
  workerSettings,
} from './post-office.ts';

const limits = { ...defaultLimits, valueBytesMax, jobBytesMax };
const fuzzCount = 1500;
/** A good put comes after so many others. */
const goodEvery = 10;

interface Expected {
  readonly letter: Letter;
  readonly what: string;
  /** Whether the fate is one that the contract allows. */
  readonly allows: (fate: Fate) => boolean;
}

const isReason = (fate: Fate): boolean => fate !== undefined && /^[a-z][a-z0-9-]*: ./.test(fate);

function payloadExperiment(
  name: string,
  promise: string,
  { casesMin, isGiant = false }: { readonly casesMin: number; readonly isGiant?: boolean },
  letters: (seed: number) => { readonly all: readonly Expected[]; readonly giantBytes: number },
): Experiment {
  return liveExperiment({
    name,
    family: 'payload',
    rows: [18],
    promise,
    leastWork: { cases: casesMin },
    unavailable: missingProcfs,
    // A job that is only mended after an error comes back when its lock has run out; a giant holds the worker up.
    site: () => ({ settings: { ...workerSettings, QUEUE_LOCK_DURATION_MS: isGiant ? '20000' : '2000' } }),
    act: async (site) => {
      const { all, giantBytes } = letters(site.round.seed);
      await deliver(site, all, giantBytes);
      return all.length;
    },
  });
}

async function deliver(site: Site, letters: readonly Expected[], giantBytes: number): Promise<void> {
  const before = await readdir(dirname(site.dataDir));
  const posted = letters.flatMap((letter, index) => (index % goodEvery === 0 ? [letter, goodPut(index)] : [letter]));
  await using office = new PostOffice(site);
  const keys = await office.post(posted.map(({ letter }) => letter));
  const worker = await site.launchReady();
  const fates = await office.fates(keys);
  const wrong = posted.flatMap(({ what, allows }, index) => {
    const fate = fates[index];
    return allows(fate) ? [] : [`${what}: ${fate === undefined ? 'completed' : `failed with ${fate.slice(0, 200)}`}`];
  });
  expect(wrong.length === 0, `${wrong.length} jobs did not end as they should: ${wrong.slice(0, 20).join('; ')}`);
  await requireStored(site, Math.ceil(letters.length / goodEvery));
  await requireMemory(worker.pid, giantBytes);
  expect((await site.ended(worker, 'SIGTERM')) === 0, 'the worker did not end well');
  await requireNothingElse(site.dataDir);
  expect((await readdir(dirname(site.dataDir))).join() === before.join(), 'there are new files beside the data');
}

function goodPut(index: number): Expected {
  const text = JSON.stringify({ v: 1, records: [{ key: `good ${index}`, text: `text ${index}` }] });
  return { what: `good put ${index}`, letter: { kind: 'put', text }, allows: (fate) => fate === undefined };
}

/** Every good put can be read, and nothing of a table's bad ones. */
async function requireStored(site: Site, goodCount: number): Promise<void> {
  const keys = Array.from({ length: goodCount }, (_, index) => `good ${index * goodEvery}`);
  const results = await site.client.lookupMany([...keys, poison]);
  for (const [index, result] of results.entries()) {
    const expected = keys[index] === undefined ? undefined : `text ${index * goodEvery}`;
    const found = result.outcome === 'found' ? result.value.toString() : undefined;
    expect(
      found === expected,
      `key "${keys[index] ?? poison}": expected ${expected}, found ${found ?? result.outcome}`,
    );
  }
}

/** Each of the table, and broken fields of the job itself, which BullMQ trusts. */
function nastyLetters(): readonly Expected[] {
  const table = nastyPayloads.map(({ kind, what, text, code }): Expected => {
    const allows = (fate: Fate): boolean =>
      code === undefined ? fate === undefined || isReason(fate) : fate?.startsWith(`${code}: `) === true;
    return { what: `${kind} of ${what}`, letter: { kind, text }, allows };
  });
  const text = JSON.stringify({ v: 1, records: [{ key: 'broken job', text: '' }] });
  const broken = brokenFields.map(
    (fields): Expected => ({
      what: `put with the fields ${JSON.stringify(fields).slice(0, 80)}`,
      letter: { kind: 'put', text, fields },
      allows: (fate) => fate === undefined || isReason(fate),
    }),
  );
  return [...table, ...broken];
}

const brokenFields: readonly Readonly<Record<string, string>>[] = [
  { timestamp: 'yesterday' },
  { timestamp: '-1' },
  { ats: 'many' },
  { atm: 'x'.repeat(10_000) },
  { stc: '-3' },
  { opts: '{not json' },
  { opts: '[]' },
  { priority: 'high' },
  { delay: '\0' },
  { parent: '{"id":1}' },
  { parent: 'null' },
  { parentKey: 'nobody' },
  { name: 'n'.repeat(100_000) },
];

/** Broken messages of every kind, as text, some of it cut off or with a byte changed. */
function fuzzedLetters(seed: number): readonly Expected[] {
  const message = fc.oneof(
    mutated(rightMessages['put-job']).map((value) => ({ kind: 'put' as const, value })),
    mutated(rightMessages['lookup-job']).map((value) => ({ kind: 'lookup' as const, value })),
  );
  const letter = fc
    .tuple(message, fc.integer({ min: 0, max: 9 }), fc.nat(), fc.string({ unit: 'binary', maxLength: 3 }))
    .map(([{ kind, value }, spoil, at, noise]): Letter => {
      const text = JSON.stringify(throughJson(value)) ?? 'undefined';
      if (spoil > 2) return { kind, text };
      const cut = at % (text.length + 1);
      return { kind, text: `${text.slice(0, cut)}${spoil === 0 ? '' : `${noise}${text.slice(cut + 1)}`}` };
    });
  return fc.sample(letter, { numRuns: fuzzCount, seed }).map((each): Expected => {
    const isRight = isAccepted(each);
    const allows = (fate: Fate): boolean => (isRight ? fate === undefined || isRefusal(fate) : isReason(fate));
    return { what: `the ${each.kind} ${each.text.slice(0, 300)}`, letter: each, allows };
  });
}

/** What may come of a message that is right: it depends on what is stored, and on who lives. */
function isRefusal(fate: string): boolean {
  return /^(key-exists|unknown-client): /.test(fate);
}

/** Whether the message is right, as the contract's own decoders say. */
function isAccepted({ kind, text }: Letter): boolean {
  try {
    // What Redis gives out is UTF-8: lone surrogates do not get so far.
    const value = parseJobText(Buffer.from(text).toString(), limits);
    if (kind === 'put') decodePutJob(value, limits);
    else decodeLookupJob(value, limits);
    return true;
  } catch (error) {
    if (error instanceof ProtocolError) return false;
    throw error;
  }
}

const giantBytes = 104_857_600;

/** Jobs of 100 MB, jobs just above the limit, and jobs that are as large as may be. */
function giantLetters(): readonly Expected[] {
  const refused = (fate: Fate): boolean => fate?.startsWith('limit-exceeded: ') === true;
  const giant = (kind: Letter['kind']): Expected => ({
    what: `a ${kind} of ${giantBytes} bytes`,
    letter: { kind, text: `{"v":1,"records":[{"key":"${poison}","text":"${'x'.repeat(giantBytes)}"}]}` },
    allows: refused,
  });
  const sized = (index: number, size: number, allows: (fate: Fate) => boolean): Expected => {
    const value = 'x'.repeat(Math.floor(size / 5));
    const records = Array.from({ length: 4 }, (_, record) => ({ key: `large ${index} ${record}`, text: value }));
    const filler = { key: `large ${index}`, text: '' };
    const text = JSON.stringify({ v: 1, records: [...records, filler] });
    const padded = `${text.slice(0, -1)},"padding":"${'x'.repeat(size - text.length - 13)}"}`;
    return { what: `a put of ${padded.length} bytes`, letter: { kind: 'put', text: padded }, allows };
  };
  const deep = `{"v":1,"records":${'['.repeat(jobBytesMax / 2 - 100)}${']'.repeat(jobBytesMax / 2 - 100)}}`;
  return [
    giant('put'),
    giant('lookup'),
    ...Array.from({ length: 20 }, (_, index) => sized(index, jobBytesMax, (fate) => fate === undefined)),
    ...Array.from({ length: 10 }, (_, index) => sized(index + 100, jobBytesMax + 1, refused)),
    ...Array.from(
      { length: 10 },
      (): Expected => ({ what: 'deep JSON', letter: { kind: 'put', text: deep }, allows: isReason }),
    ),
  ];
}

const kept =
  'good puts in between are stored, the worker lives on within its bound of memory, and no file is made elsewhere';

export const payloadExperiments: readonly Experiment[] = [
  payloadExperiment(
    'nasty-payloads',
    `each of a table of nasty jobs is refused with its code and stores nothing; ${kept}`,
    { casesMin: 100 },
    () => ({ all: nastyLetters(), giantBytes: 0 }),
  ),
  payloadExperiment(
    'fuzzed-payloads',
    `a fuzzed put or lookup is done if the contract allows it, and fails with a reason if not; ${kept}`,
    { casesMin: fuzzCount },
    (seed) => ({ all: fuzzedLetters(seed), giantBytes: 0 }),
  ),
  payloadExperiment(
    'giant-payloads',
    `jobs of 100 MB and jobs above the limit are refused, jobs as large as the limit are stored; ${kept}`,
    { casesMin: 40, isGiant: true },
    () => ({ all: giantLetters(), giantBytes }),
  ),
];
