import { DURATION } from './schema.ts';

/** Milliseconds of `30s`, `5m`; undefined for undefined. The schema has checked the form. */
export function milliseconds(text: string | undefined): number | undefined {
  const match = text === undefined ? null : DURATION.exec(text);
  if (match === null) return undefined;
  const unit = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[match[2] as 'ms' | 's' | 'm' | 'h'];
  return Math.round(Number(match[1]) * unit);
}

/** Plain YAML scalars as text, as a process or Helm sees them. */
export function strings(
  map: Readonly<Record<string, string | number | boolean>> | undefined,
): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(map ?? {}).map(([key, value]) => [key, String(value)]));
}

export function timeout(text: string | undefined): { readonly timeoutMs?: number } {
  const ms = milliseconds(text);
  return ms === undefined ? {} : { timeoutMs: ms };
}
