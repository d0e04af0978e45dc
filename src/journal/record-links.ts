/**
 * What a walk along a chain asks of the records that it passes: the checksum of the key, and which record is next.
 *
 * Most records on the way to a key are other keys', and their links are all that a walk needs of them. A page has a record
 * every 60 bytes or so, spread over more memory than the processor's caches hold; its links take 12 bytes a record. To read
 * those of a page costs as much as looking at some twenty of its records: it is done when the page was asked for often since
 * it came, so that a cache which pages only pass through is not slowed down. Links are forgotten when the frame gets another
 * page; pages in the cache never change.
 *
 * A link is only ever a reason to go on. A record that ends its chain has none, nor one whose fields say nothing, or more
 * than 32 bits hold: it has to be looked at.
 */
import { present } from '../base/assert.ts';

/** Of a record: the checksum of its key, and the next record of its chain. */
export interface Link {
  hash: number;
  section: number;
  position: number;
}

/** Reads the link of the record at `at`. False when its chain ends there, or its fields say nothing. */
export type ReadLink = (bytes: Buffer, at: number, link: Link) => boolean;

/** Where in memory a link is. The one who asks hands it over to be filled, the same one for each step of a chain. */
export interface LinkPlace {
  links: Uint32Array;
  link: number;
}

/** A page in a frame of the cache: `size` bytes from `start` on. */
export interface FramedPage {
  readonly bytes: Buffer;
  readonly start: number;
  readonly size: number;
}

/** Links of a page are read when it is asked for one this many times. */
export const asksBeforeRead = 16;
/** Frames whose links have their memory together. */
const chunkFrames = 64;

const hashWord = 0;
const sectionWord = 1;
const positionWord = 2;
const linkWords = 3;

/** As a position: there is no link. */
const noPosition = 0xffff_ffff;
const sectionMax = 0xffff_ffff;

export class RecordLinks {
  readonly #pageSize: number;
  readonly #recordSize: number;
  readonly #read: ReadLink;
  /** Words of a frame: one link for each whole record that a page can have. */
  readonly #frameWords: number;
  readonly #chunks: (Uint32Array | undefined)[] = [];
  /** By frame, as far as any was asked: how often its page was, up to `asksBeforeRead`. Then its links were read. */
  #asks = new Uint8Array(chunkFrames);
  readonly #link: Link = { hash: 0, section: 0, position: 0 };

  constructor(pageSize: number, recordSize: number, read: ReadLink) {
    this.#pageSize = pageSize;
    this.#recordSize = recordSize;
    this.#read = read;
    this.#frameWords = Math.floor(pageSize / recordSize) * linkWords;
  }

  /** The frame gets another page. */
  forget(frame: number): void {
    if (frame < this.#asks.length) this.#asks[frame] = 0;
  }

  /** Says where the link is of the whole record that begins at `at` of a frame's page; false while it was not read. */
  find(frame: number, at: number, place: LinkPlace): boolean {
    if (this.#asks[frame] !== asksBeforeRead) return false;
    place.links = present(this.#chunks[Math.floor(frame / chunkFrames)], 'links of the frame');
    place.link = this.#wordOf(frame, at);
    return true;
  }

  /** One more time that a frame's page could not say a link. Whether they are to be read now. */
  ask(frame: number): boolean {
    if (frame >= this.#asks.length) this.#makeRoom(frame + 1);
    const asks = (this.#asks[frame] ?? 0) + 1;
    if (asks === asksBeforeRead) return true;
    this.#asks[frame] = asks;
    return false;
  }

  /** Reads the links of a page's whole records. */
  read(frame: number, page: number, { bytes, start, size }: FramedPage): void {
    const link = this.#link;
    const links = this.#chunkOf(frame);
    const partBefore = (page * this.#pageSize) % this.#recordSize;
    const first = (this.#recordSize - partBefore) % this.#recordSize;
    for (let at = first; at + this.#recordSize <= size; at += this.#recordSize) {
      const word = this.#wordOf(frame, at);
      const isThere = this.#read(bytes, start + at, link) && link.section <= sectionMax && link.position < noPosition;
      links[word + hashWord] = link.hash;
      links[word + sectionWord] = link.section;
      links[word + positionWord] = isThere ? link.position : noPosition;
    }
    if (frame >= this.#asks.length) this.#makeRoom(frame + 1);
    this.#asks[frame] = asksBeforeRead;
  }

  #makeRoom(frames: number): void {
    const wider = new Uint8Array(Math.max(frames, this.#asks.length * 2));
    wider.set(this.#asks);
    this.#asks = wider;
  }

  #chunkOf(frame: number): Uint32Array {
    const chunk = Math.floor(frame / chunkFrames);
    this.#chunks[chunk] ??= new Uint32Array(chunkFrames * this.#frameWords);
    return this.#chunks[chunk];
  }

  #wordOf(frame: number, at: number): number {
    return (frame % chunkFrames) * this.#frameWords + Math.floor(at / this.#recordSize) * linkWords;
  }
}

/** Whether the record has a link. */
export function hasLink({ links, link }: LinkPlace): boolean {
  return links[link + positionWord] !== noPosition;
}

/** Checksum of the record's key. */
export function linkHash({ links, link }: LinkPlace): number {
  return links[link + hashWord] ?? 0;
}

/** Section of the next record. */
export function linkSection({ links, link }: LinkPlace): number {
  return links[link + sectionWord] ?? 0;
}

/** Position of the next record. */
export function linkPosition({ links, link }: LinkPlace): number {
  return links[link + positionWord] ?? 0;
}
