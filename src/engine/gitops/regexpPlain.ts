/**
 * What Go accepts in a pattern and re2js does not, said in a way that both understand. Names of Unicode classes (`\pL`,
 * `\p{Greek}`) as Go reads them since 1.25: in any letter case, with spaces, `_` and `-` left out, and with the long names
 * of categories. `{01}`, which is no repetition.
 */

const longNames: ReadonlyMap<string, string> = new Map(
  [
    'LC CasedLetter',
    'Pe ClosePunctuation',
    'M CombiningMark Mark',
    'Pc ConnectorPunctuation',
    'Cc Control Cntrl',
    'Sc CurrencySymbol',
    'Pd DashPunctuation',
    'Nd DecimalNumber Digit',
    'Me EnclosingMark',
    'Pf FinalPunctuation',
    'Cf Format',
    'Pi InitialPunctuation',
    'L Letter',
    'Nl LetterNumber',
    'Zl LineSeparator',
    'Ll LowercaseLetter',
    'Sm MathSymbol',
    'Lm ModifierLetter',
    'Sk ModifierSymbol',
    'Mn NonspacingMark',
    'N Number',
    'Ps OpenPunctuation',
    'C Other',
    'Lo OtherLetter',
    'No OtherNumber',
    'Po OtherPunctuation',
    'So OtherSymbol',
    'Zp ParagraphSeparator',
    'Co PrivateUse',
    'P Punctuation Punct',
    'Z Separator',
    'Zs SpaceSeparator',
    'Mc SpacingMark',
    'Cs Surrogate',
    'S Symbol',
    'Lt TitlecaseLetter',
    'Cn Unassigned',
    'Lu UppercaseLetter',
  ].flatMap((line) => {
    const [short = '', ...names] = line.split(' ');
    return [short, ...names].map((name) => [name.toLowerCase(), short] as const);
  }),
);

/** The same pattern in the part of the syntax that is read alike everywhere; what is wrong in it stays wrong. */
export function inPlainSyntax(source: string): string {
  if (!/\\[pP]|[{,]0\d/.test(source)) return source;
  let where: 'outside' | 'in-brackets' = 'outside';
  return source.replaceAll(
    /\\Q[\s\S]*?(?:\\E|$)|\\([pP])(?:\{([^}]*)\}|([\s\S]))|\\[\s\S]|\{\d+(?:,\d*)?\}|\[:\^?\w+:\]|\[\^?\]?|\]/g,
    (written: string, letter?: string, long?: string, short?: string) => {
      if (letter !== undefined) return classOf(written, letter, long ?? short ?? '', where);
      if (written.startsWith('{')) return where === 'outside' && /[{,]0\d/.test(written) ? `\\${written}` : written;
      if (written.startsWith('[') && !written.startsWith('[:')) where = 'in-brackets';
      else if (written === ']') where = 'outside';
      return written;
    },
  );
}

function classOf(written: string, letter: string, name: string, where: 'outside' | 'in-brackets'): string {
  const isInverse = (letter === 'P') !== name.startsWith('^');
  const plain = name.replace(/^\^/, '').replaceAll(/[_ -]/g, '').toLowerCase();
  const answer = (known: string, inverse = isInverse): string => `\\${inverse ? 'P' : 'p'}{${known}}`;
  if (plain === 'any') return answer('Any');
  if (plain === 'assigned') return answer('Cn', !isInverse);
  if (plain === 'ascii') {
    const set = isInverse ? '\\x{80}-\\x{10FFFF}' : '\\x00-\\x7F';
    return where === 'outside' ? `[${set}]` : set;
  }
  const category = longNames.get(plain);
  if (category !== undefined) return answer(category);
  // Scripts of one word; the others are written with capitals and underscores wherever they are understood.
  return /^[a-z]{2,}$/.test(plain) && !/[_ -]\w/.test(name.trim())
    ? answer(plain.slice(0, 1).toUpperCase() + plain.slice(1))
    : written;
}
