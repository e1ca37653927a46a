/**
 * Which plain texts a YAML 1.1 reader takes for something other than text, as go.yaml.in/yaml v2 (which kyaml asks when
 * it formats a written value) and v3 (which writes it) decide. Flux puts such values in double quotes.
 */
import { parseGoFloat } from './number.ts';

const words: ReadonlySet<string> = new Set(
  [
    'y Y yes Yes YES n N no No NO on On ON off Off OFF true True TRUE false False FALSE',
    '~ null Null NULL .nan .NaN .NAN .inf .Inf .INF +.inf +.Inf +.INF -.inf -.Inf -.INF <<',
  ]
    .join(' ')
    .split(' '),
);

const largestUnsigned = 2n ** 64n - 1n;
const lowestSigned = -(2n ** 63n);

/** True for a value that must not be written plain where text is meant; the empty text too. */
export function isAmbiguousPlain(value: string): boolean {
  if (value === '' || value === '-' || words.has(value)) return true;
  const first = value[0] ?? '';
  if (first === '.') return parseGoFloat(value) !== undefined;
  if (!/[-+0-9]/.test(first)) return false;
  if (isTimestamp(value)) return true;
  const plain = value.replaceAll('_', '');
  return isInteger(plain) || isFloat(plain);
}

/** Go's `ParseInt(text, 0, 64)` and `ParseUint`, and the `0o` and `0b` forms; all prefixes in both letter cases. */
function isInteger(text: string): boolean {
  const match = /^([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))$/.exec(text);
  if (match === null) return false;
  const [, sign, hex, binary, octal, decimal] = match;
  const digits =
    hex !== undefined
      ? `0x${hex}`
      : binary !== undefined
        ? `0b${binary}`
        : octal !== undefined
          ? `0o${octal}`
          : (decimal ?? '');
  const value = BigInt(digits);
  return sign === '-' ? -value >= lowestSigned : sign === '+' ? value <= -lowestSigned - 1n : value <= largestUnsigned;
}

function isFloat(text: string): boolean {
  return /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/.test(text) && parseGoFloat(text) !== undefined;
}

/** `2024-1-2`, alone or with a time: the forms that Go's YAML libraries try. */
function isTimestamp(text: string): boolean {
  const match =
    /^(\d{4})-(\d{1,2})-(\d{1,2})(?:[Tt](\d{1,2}):(\d{1,2}):(\d{1,2})(?:[.,]\d+)?(?:Z|[-+]\d\d:\d\d)| (\d{1,2}):(\d{1,2}):(\d{1,2})(?:[.,]\d+)?)?$/.exec(
      text,
    );
  if (match === null) return false;
  const [year, month, day, hour, minute, second] = [
    match[1],
    match[2],
    match[3],
    match[4] ?? match[7] ?? '0',
    match[5] ?? match[8] ?? '0',
    match[6] ?? match[9] ?? '0',
  ].map(Number) as [number, number, number, number, number, number];
  if (month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59) return false;
  return day >= 1 && day <= daysIn(year, month);
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}
