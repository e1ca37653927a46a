/** Go's `strconv.ParseFloat(text, 64)`, which Flux's numerical policy reads tags with. Undefined where Go has an error. */
export function parseGoFloat(text: string): number | undefined {
  const fast = text.length < 16 ? plainInteger(text) : -1;
  if (fast >= 0) return fast;
  const special = /^(?:([+-]?)inf(?:inity)?|(nan))$/i.exec(text);
  if (special !== null) {
    if (special[2] !== undefined) return Number.NaN;
    return special[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  }
  if (text.includes('_') && !hasGoodUnderscores(text)) return undefined;
  const clean = text.replaceAll('_', '');
  if (/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(clean)) {
    const value = Number(clean);
    return Number.isFinite(value) ? value : undefined;
  }
  return parseHexFloat(clean);
}

/** The value of a short run of digits, or -1. */
function plainInteger(text: string): number {
  let value = 0;
  for (let at = 0; at < text.length; at += 1) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return text.length === 0 ? -1 : value;
}

/** Underscores must stand between digits; a base prefix counts as a digit. */
function hasGoodUnderscores(text: string): boolean {
  const body = text.replace(/^[+-]/, '');
  const isHex = /^0[xX]/.test(body);
  const rest = /^0[box]/i.test(body) ? `0${body.slice(2)}` : body;
  const digit = isHex ? '[0-9a-fA-F]' : '[0-9]';
  return !new RegExp(`(?:^|[^_])_+(?!${digit})|(?<!${digit})_`).test(rest);
}

/** `0x1.8p3`: the exponent is required. Rounds to nearest, ties to even, as Go does. */
function parseHexFloat(text: string): number | undefined {
  const match = /^([+-]?)0[xX]([0-9a-fA-F]*)(?:\.([0-9a-fA-F]*))?[pP]([+-]?\d+)$/.exec(text);
  if (match === null) return undefined;
  const [, sign, whole = '', fraction = '', power = '0'] = match;
  if (whole === '' && fraction === '') return undefined;
  let mantissa = BigInt(`0x0${whole}${fraction}`);
  if (mantissa === 0n) return sign === '-' ? -0 : 0;
  let exponent = Math.max(-100_000, Math.min(100_000, Number(power))) - 4 * fraction.length;
  const bits = mantissa.toString(2).length;
  // Keep 53 bits, fewer where the result is subnormal, and round the rest away.
  const lowest = -1074;
  const drop = Math.max(bits - 53, lowest - exponent);
  if (drop > 0) {
    const cut = BigInt(Math.min(drop, bits + 1));
    const half = 1n << (cut - 1n);
    const rest = mantissa & ((1n << cut) - 1n);
    mantissa >>= cut;
    if (rest > half || (rest === half && (mantissa & 1n) === 1n)) mantissa += 1n;
    exponent += drop;
  }
  let value = Number(mantissa);
  for (; exponent > 0 && Number.isFinite(value); exponent -= Math.min(exponent, 1000)) {
    value *= 2 ** Math.min(exponent, 1000);
  }
  for (; exponent < 0 && value !== 0; exponent += Math.min(-exponent, 1000)) value *= 2 ** -Math.min(-exponent, 1000);
  if (!Number.isFinite(value)) return undefined;
  return sign === '-' ? -value : value;
}
