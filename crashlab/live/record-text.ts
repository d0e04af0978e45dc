/** The value of a record, which says of which key and version it is. */
export function textOf(key: string, version: number, size: number): string {
  return `${key} version ${version};`.padEnd(size, `${version % 10}${key}`).slice(0, size);
}

/** Bytes that a value needs for saying what it is. */
export const textSizeMin = 48;

const pattern = /^(.+) version (\d+);/;

/** What a value says of itself: undefined unless it is whole. */
export function versionIn(key: string, value: Buffer): number | undefined {
  const text = value.toString('latin1');
  const [, name, version] = pattern.exec(text) ?? [];
  const whole = name === key && text === textOf(key, Number(version), value.length);
  return whole ? Number(version) : undefined;
}
