import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  asksBeforeRead,
  hasLink,
  type LinkPlace,
  linkHash,
  linkPosition,
  linkSection,
  type ReadLink,
  RecordLinks,
} from '../../src/journal/record-links.ts';

/** A record says its hash, and the section and position of the next one; a hash of 0 ends the chain. */
const recordSize = 24;
const pageSize = 64;

const readLink: ReadLink = (bytes, at, link) => {
  link.hash = bytes.readUInt32BE(at);
  link.section = bytes.readDoubleBE(at + 8);
  link.position = bytes.readDoubleBE(at + 16);
  return link.hash !== 0;
};

type Fields = readonly [hash: number, section: number, position: number];

function record([hash, section, position]: Fields): Buffer {
  const bytes = Buffer.alloc(recordSize);
  bytes.writeUInt32BE(hash, 0);
  bytes.writeDoubleBE(section, 8);
  bytes.writeDoubleBE(position, 16);
  return bytes;
}

const fieldsOf = (number: number): Fields => [1000 + number, number * 3, number * 7];

/** The first pages of a section with so many records. */
function pagesOf(count: number): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, number) => record(fieldsOf(number))));
}

function linkAt(links: RecordLinks, frame: number, at: number): Fields | undefined {
  const place: LinkPlace = { links: new Uint32Array(0), link: 0 };
  return links.find(frame, at, place) && hasLink(place)
    ? [linkHash(place), linkSection(place), linkPosition(place)]
    : undefined;
}

test('every whole record of a page has its link, wherever the first one begins and whichever frame it is in', () => {
  const links = new RecordLinks(pageSize, recordSize, readLink);
  const bytes = pagesOf(100);
  let count = 0;
  for (let page = 0; page < 30; page++) {
    const frame = (page * 67) % 200;
    links.read(frame, page, { bytes, start: page * pageSize, size: pageSize });
  }
  for (let number = 0; number * recordSize < 30 * pageSize; number++) {
    const page = Math.floor((number * recordSize) / pageSize);
    const at = number * recordSize - page * pageSize;
    if (at + recordSize > pageSize) continue;
    assert.deepEqual(linkAt(links, (page * 67) % 200, at), fieldsOf(number), `record ${number}`);
    count++;
  }
  assert.equal(count, 60);
});

test('a record that ends its chain has none, nor one whose next has larger numbers than a link', () => {
  const max = 0xffff_ffff;
  for (const [fields, expected] of [
    [[0, 1, 1], undefined],
    [
      [7, max, max - 1],
      [7, max, max - 1],
    ],
    [[7, max + 1, 1], undefined],
    [[7, 1, max], undefined],
    [[7, 1, 2 ** 40], undefined],
    [
      [max, 0, 0],
      [max, 0, 0],
    ],
  ] as const) {
    const links = new RecordLinks(pageSize, recordSize, readLink);
    links.read(0, 0, { bytes: record(fields), start: 0, size: recordSize });
    assert.deepEqual(linkAt(links, 0, 0), expected, `${fields}`);
  }
});

test('links are read when a page was asked for often, and another page begins anew', () => {
  const links = new RecordLinks(pageSize, recordSize, readLink);
  for (let round = 0; round < 3; round++) {
    const asks = Array.from({ length: asksBeforeRead }, () => links.ask(1));
    assert.deepEqual(asks, [...Array(asksBeforeRead - 1).fill(false), true]);
    assert.equal(linkAt(links, 1, 0), undefined);
    links.read(1, 0, { bytes: pagesOf(3), start: 0, size: pageSize });
    assert.deepEqual(linkAt(links, 1, 0), fieldsOf(0));
    links.forget(1);
  }
  assert.equal(links.ask(2), false);
  // A frame that nobody asked yet, far behind the others.
  links.forget(5000);
  for (let asks = 1; asks < asksBeforeRead; asks++) assert.equal(links.ask(5000), false);
  assert.equal(links.ask(5000), true);
});

test('the links of a frame are those of the page that it has now', () => {
  const links = new RecordLinks(pageSize, recordSize, readLink);
  const bytes = pagesOf(30);
  links.read(0, 0, { bytes, start: 0, size: pageSize });
  links.read(1, 0, { bytes, start: 0, size: pageSize });
  links.forget(0);
  assert.deepEqual([linkAt(links, 0, 0), linkAt(links, 1, 0)], [undefined, fieldsOf(0)]);
  // Page 3 begins with record 8. It is the last one, and ends behind that.
  links.read(0, 3, { bytes, start: 3 * pageSize, size: recordSize });
  assert.deepEqual(linkAt(links, 0, 0), fieldsOf(8));
});
