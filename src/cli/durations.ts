import { UsageError } from './command.ts';

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of `90s`, `15m`, `1h`, `7d`; a bare number counts seconds. A UsageError names the option otherwise. */
export function durationMs(option: string, text: string): number {
  const [, digits = '', unit = 's'] = /^(\d{1,9})(ms|[smhd])?$/.exec(text) ?? [];
  const ms = Number(digits) * (unitsMs[unit] ?? Number.NaN);
  if (digits !== '' && ms <= 100_000 * 86_400_000) return ms;
  throw new UsageError('invalid-option', `--${option} must be a time such as 90s, 15m, 1h or 7d, not '${text}'`);
}
