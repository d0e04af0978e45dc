import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, messageOf } from '../../src/base/errors.ts';
import type { Disk } from '../../src/disk/disk.ts';
import { NodeDisk } from '../../src/disk/node-disk.ts';
import type { Checkpoint } from '../../src/freezer/checkpoint.ts';
import { Freezer } from '../../src/freezer/freezer.ts';
import { bytesFromHex, GoldenError } from './golden-error.ts';
import { freezerSettings, type GoldenSettings, goldenPartitions, parseSettings } from './golden-settings.ts';
import { type FileResult, Tally } from './result.ts';
import { parseCheckpoint, parseKey } from './scenario.ts';

export const expectationName = 'expect.json';

/** What a store must answer: key and value in hex, null for a key that is not in it. */
interface Expectation {
  readonly settings: GoldenSettings;
  readonly checkpoint: Checkpoint;
  readonly values: ReadonlyMap<string, string | null>;
}

/** Records that the check adds to the copy before it closes it and opens it again. */
const addedCount = 100;

/**
 * Opens a copy of the store, compares every value, adds records, closes, opens what was written here and compares
 * everything again. The store itself is only read.
 */
export async function checkStore(directory: string, scratch: string): Promise<FileResult> {
  const expectation = parseExpectation(await fs.readFile(join(directory, expectationName), 'utf8'));
  for (const partition of goldenPartitions) {
    await fs.cp(join(directory, partition), join(scratch, partition), { recursive: true });
  }
  const tally = new Tally(directory);
  try {
    await openCompareAdd(new NodeDisk(scratch), expectation, tally);
  } catch (error) {
    tally.compare('the store as a whole', 'no error', `error ${codeOf(error) ?? 'unknown'}: ${messageOf(error)}`);
  }
  return tally.result();
}

async function openCompareAdd(disk: Disk, expectation: Expectation, tally: Tally): Promise<void> {
  const first = await compareAt(disk, expectation, expectation.checkpoint, expectation.values, tally);
  const all = new Map(expectation.values);
  for (const [key, value] of addedRecords(expectation)) {
    await first.put(Buffer.from(key, 'hex'), Buffer.from(value, 'hex'));
    all.set(key, value);
  }
  const checkpoint = await first.close();
  const second = await compareAt(disk, expectation, checkpoint, all, tally);
  await second.close();
}

async function compareAt(
  disk: Disk,
  expectation: Expectation,
  checkpoint: Checkpoint,
  values: ReadonlyMap<string, string | null>,
  tally: Tally,
): Promise<Freezer<Uint8Array>> {
  const settings = freezerSettings(expectation.settings);
  const freezer = await Freezer.open(disk, settings, { kind: 'checkpoint', checkpoint });
  for (const [key, value] of values) {
    tally.compare(`get ${key} at epoch ${checkpoint.epoch}`, shown(value), await answer(freezer, key));
  }
  return freezer;
}

async function answer(freezer: Freezer<Uint8Array>, key: string): Promise<string> {
  try {
    const value = await freezer.get({ key: Buffer.from(key, 'hex') });
    return shown(value === undefined ? null : Buffer.from(value).toString('hex'));
  } catch (error) {
    return `error ${codeOf(error) ?? 'unknown'}: ${messageOf(error)}`;
  }
}

function shown(value: string | null): string {
  return value === null ? 'none' : `some ${value}`;
}

/** New records, and one that puts the first expected key again. */
function addedRecords(expectation: Expectation): ReadonlyMap<string, string> {
  const records = new Map<string, string>();
  const [known] = expectation.values.keys();
  if (known !== undefined) records.set(known, 'ff');
  for (let index = 0; index < addedCount; index++) {
    const digest = createHash('shake256', { outputLength: expectation.settings.keylen }).update(`added ${index}`);
    records.set(digest.digest('hex'), Buffer.alloc(index, index).toString('hex'));
  }
  return records;
}

function parseExpectation(text: string): Expectation {
  const root = objectOf(JSON.parse(text), expectationName);
  const settings = parseSettings(objectOf(root.settings, 'settings'));
  const values = new Map<string, string | null>();
  for (const [key, value] of Object.entries(objectOf(root.values, 'values'))) {
    parseKey(key, settings);
    if (value !== null) bytesFromHex(String(value), `value of ${key}`);
    values.set(key, value === null ? null : String(value));
  }
  return { settings, checkpoint: parseCheckpoint(String(root.checkpoint)), values };
}

function objectOf(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new GoldenError(`${what} is no object`);
  return Object.fromEntries(Object.entries(value));
}
