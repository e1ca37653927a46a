/**
 * Which plain texts a YAML reader takes for something other than text. Two readers decide what Flux quotes: kyaml asks
 * go.yaml.in/yaml v2 (YAML 1.1) whether a written value would be text, and v3, which writes it, quotes what it would
 * itself read as another type than the value had before.
 */
import { parseGoFloat } from './number.ts';

export type ScalarType = 'text' | 'bool' | 'null' | 'int' | 'float' | 'timestamp' | 'merge';

const wordTypes: ReadonlyMap<string, ScalarType> = new Map(
  (
    [
      ['bool', 'true True TRUE false False FALSE'],
      ['null', '~ null Null NULL'],
      ['float', '.nan .NaN .NAN .inf .Inf .INF +.inf +.Inf +.INF -.inf -.Inf -.INF'],
      ['merge', '<<'],
    ] as const
  ).flatMap(([type, words]) => words.split(' ').map((word) => [word, type] as const)),
);
/** Truth values of YAML 1.1 only. */
const oldBooleans: ReadonlySet<string> = new Set('y Y yes Yes YES n N no No NO on On ON off Off OFF'.split(' '));

/** The type that go.yaml.in/yaml v3 gives a plain scalar. */
export function plainType(value: string): ScalarType {
  if (value === '') return 'null';
  const word = wordTypes.get(value);
  if (word !== undefined) return word;
  const first = value[0] ?? '';
  if (first === '.') return parseGoFloat(value) === undefined ? 'text' : 'float';
  if (!/[-+0-9]/.test(first)) return 'text';
  if (isTimestamp(value)) return 'timestamp';
  const plain = value.replaceAll('_', '');
  return isInteger(plain) ? 'int' : isFloat(plain) ? 'float' : 'text';
}

/** True for a value that some reader would not take as text; the empty text too. */
export function isAmbiguousPlain(value: string): boolean {
  return value === '-' || oldBooleans.has(value) || plainType(value) !== 'text';
}

/**
 * Whether Flux puts double quotes around `value` where `old` stood plain. Dates are texts for go.yaml.in/yaml v2, so a
 * date stays plain where a date was plain before; and kyaml leaves a null without quotes.
 */
export function isQuotedByFlux(value: string, old: string): boolean {
  if (!isAmbiguousPlain(value)) return false;
  const type = plainType(value);
  return value === '' || type !== plainType(old) || (type !== 'timestamp' && type !== 'null');
}

const largestUnsigned = 2n ** 64n - 1n;
const lowestSigned = -(2n ** 63n);

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
