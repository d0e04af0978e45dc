/**
 * The section manifest: one line for every sealed section, appended at the rollover, before the first byte of the next.
 *
 * A line is text of a fixed size: section, key bytes and value bytes in 16 hexadecimal digits each, the CRC-32C of all
 * that in 8, separated by spaces and ended by a line feed. Line n is about section n.
 *
 * Crash behaviour: a line is durable before anything is written to the next section. So only the line of the section
 * that was growing can be torn, or be readable without being durable; `growFrom` cuts it off before the next append.
 * Anything else that does not hold together is damage.
 */
import { Poison } from '../base/poison.ts';
import { crc32c } from '../codec/crc32c.ts';
import type { Disk, DiskFile } from '../disk/disk.ts';
import type { JournalEnd } from '../journal/journal-end.ts';
import { readWhole, replaceFile } from './replace-file.ts';
import { damaged } from './shard-error.ts';

export const sectionManifestFile = 'sections';

const numberDigits = 16;
const crcDigits = 8;
const separatorSize = 1;
const crcAt = 3 * (numberDigits + separatorSize);
export const manifestLineSize = crcAt + crcDigits + separatorSize;
const linePattern = /^([0-9a-f]{16}) ([0-9a-f]{16}) ([0-9a-f]{16}) ([0-9a-f]{8})\n$/;

export interface ManifestReading {
  /** Ends of the sealed sections, section 0 first. */
  readonly ends: readonly JournalEnd[];
  /** The file goes on with a line that was not written to its end. */
  readonly torn: boolean;
}

export class SectionManifest {
  readonly #file: DiskFile;
  readonly #ends: JournalEnd[];
  readonly #poison = new Poison();

  private constructor(file: DiskFile, ends: readonly JournalEnd[]) {
    this.#file = file;
    this.#ends = [...ends];
  }

  /** Makes an empty manifest, crash-safely. */
  static async create(disk: Disk): Promise<SectionManifest> {
    await replaceFile(disk, sectionManifestFile, Buffer.alloc(0));
    return new SectionManifest(await disk.open(sectionManifestFile, { create: false }), []);
  }

  /** What the manifest says; a missing file or a damaged line is `damaged`. */
  static async read(disk: Disk): Promise<ManifestReading> {
    const bytes = await readWhole(disk, sectionManifestFile);
    if (bytes === undefined) throw damaged(sectionManifestFile, 'the file is missing');
    return parse(bytes);
  }

  /** Opens the manifest for appending. Writes nothing itself. */
  static async open(disk: Disk): Promise<SectionManifest> {
    const { ends } = await SectionManifest.read(disk);
    return new SectionManifest(await disk.open(sectionManifestFile, { create: false }), ends);
  }

  get ends(): readonly JournalEnd[] {
    return this.#ends;
  }

  /**
   * Keeps the lines below `section`, which is the one that grows, and cuts off what follows: the line of a rollover
   * that was interrupted before the next section began. Durable on return. A missing line is `damaged`.
   */
  async growFrom(section: number): Promise<void> {
    if (this.#ends.length < section) {
      throw damaged(sectionManifestFile, `${this.#ends.length} lines found, ${section} expected`);
    }
    await this.#guarded(async () => {
      await this.#file.truncate(section * manifestLineSize);
      await this.#file.sync();
    });
    this.#ends.length = section;
  }

  /** Adds the next section's line; durable on return. */
  async append(end: JournalEnd): Promise<void> {
    if (end.section !== this.#ends.length) {
      throw damaged(sectionManifestFile, `section ${end.section} was sealed after ${this.#ends.length} lines`);
    }
    await this.#guarded(async () => {
      await this.#file.write(end.section * manifestLineSize, formatLine(end));
      await this.#file.sync();
    });
    this.#ends.push(end);
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #guarded(work: () => Promise<void>): Promise<void> {
    if (this.#poison.cause !== undefined) throw this.#poison.cause;
    try {
      await work();
    } catch (error) {
      throw this.#poison.mark(error);
    }
  }
}

function formatLine(end: JournalEnd): Buffer {
  const numbers = [end.section, end.keyBytes, end.valueBytes].map((value) => hex(value, numberDigits));
  const text = `${numbers.join(' ')} `;
  return Buffer.from(`${text}${hex(crc32c(Buffer.from(text)), crcDigits)}\n`, 'latin1');
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

function parse(bytes: Buffer): ManifestReading {
  const ends: JournalEnd[] = [];
  for (let offset = 0; offset < bytes.length; offset += manifestLineSize) {
    const end = parseLine(bytes.subarray(offset, offset + manifestLineSize));
    const isLast = offset + manifestLineSize >= bytes.length;
    if (end === undefined && isLast) return { ends, torn: true };
    if (end?.section !== ends.length) {
      throw damaged(
        sectionManifestFile,
        `the line of section ${ends.length} at offset ${offset} is not what was written`,
      );
    }
    ends.push(end);
  }
  return { ends, torn: false };
}

function parseLine(bytes: Buffer): JournalEnd | undefined {
  const [, section, keyBytes, valueBytes, crc] = linePattern.exec(bytes.toString('latin1')) ?? [];
  if (section === undefined || keyBytes === undefined || valueBytes === undefined || crc === undefined)
    return undefined;
  if (Number.parseInt(crc, 16) !== crc32c(bytes.subarray(0, crcAt))) return undefined;
  return {
    section: Number.parseInt(section, 16),
    keyBytes: Number.parseInt(keyBytes, 16),
    valueBytes: Number.parseInt(valueBytes, 16),
  };
}
