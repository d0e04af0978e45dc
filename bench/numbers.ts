/** The value in the middle of the sorted numbers, or the mean of the two there; 0 without numbers. */
export function median(numbers: readonly number[]): number {
  return (quantile(numbers, 0.5, Math.floor) + quantile(numbers, 0.5, Math.ceil)) / 2;
}

/** The number that a share of all numbers does not exceed. */
export function percentile(numbers: readonly number[], share: number): number {
  return quantile(numbers, share, Math.ceil);
}

function quantile(numbers: readonly number[], share: number, round: (position: number) => number): number {
  const sorted = [...numbers].sort((left, right) => left - right);
  return sorted[round(share * (sorted.length - 1))] ?? 0;
}

export const mebibyte = 1024 * 1024;

/** A whole number with commas between its thousands. */
export function grouped(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** Two decimals, or none from 100 on. */
export function fixed(value: number): string {
  return value >= 100 ? grouped(value) : value.toFixed(2);
}

export function mebibytes(bytes: number): string {
  return `${grouped(bytes / mebibyte)} MiB`;
}
