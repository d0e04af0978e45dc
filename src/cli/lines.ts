/** One line of a text: its bytes without the line end, or the news that it was too long to be kept. */
export type Line =
  | { readonly kind: 'line'; readonly number: number; readonly bytes: Buffer }
  | { readonly kind: 'too-long'; readonly number: number };

const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** The lines of a stream of bytes, numbered from 1. A line of more than `lineBytesMax` is dropped as it comes in. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>, lineBytesMax: number): AsyncGenerator<Line> {
  let number = 1;
  let parts: Uint8Array[] = [];
  let size = 0;
  const take = (): Line => {
    const line: Line =
      size > lineBytesMax
        ? { kind: 'too-long', number }
        : { kind: 'line', number, bytes: withoutReturn(Buffer.concat(parts)) };
    number++;
    parts = [];
    size = 0;
    return line;
  };
  for await (const chunk of chunks) {
    for (const [piece, ended] of pieces(chunk)) {
      size += piece.length;
      if (size > lineBytesMax) parts = [];
      else if (piece.length > 0) parts.push(piece);
      if (ended) yield take();
    }
  }
  if (size > 0) yield take();
}

function* pieces(chunk: Uint8Array): Generator<readonly [piece: Uint8Array, ended: boolean]> {
  let start = 0;
  for (let end = chunk.indexOf(lineFeed); end >= 0; end = chunk.indexOf(lineFeed, start)) {
    yield [chunk.subarray(start, end), true];
    start = end + 1;
  }
  yield [chunk.subarray(start), false];
}

function withoutReturn(line: Buffer): Buffer {
  return line.at(-1) === carriageReturn ? line.subarray(0, -1) : line;
}
