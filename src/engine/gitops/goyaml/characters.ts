/** Classes of characters, as UTF-16 code units. 0 stands for the end of the text. */

export const tab = 9;
export const newline = 10;
export const carriageReturn = 13;
export const space = 32;
export const hash = 35;

export const isBlank = (code: number): boolean => code === space || code === tab;
export const isBreak = (code: number): boolean =>
  code === newline || code === carriageReturn || (code > 127 && (code === 0x85 || code === 0x2028 || code === 0x2029));
export const isBlankOrEnd = (code: number): boolean => code === space || code === 0 || code === tab || isBreak(code);
export const isBreakOrEnd = (code: number): boolean => code === 0 || isBreak(code);
export const isWord = (code: number): boolean =>
  (code >= 97 && code <= 122) || (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || code === 95 || code === 45;
export const isHex = (code: number): boolean =>
  (code >= 48 && code <= 57) || (code >= 97 && code <= 102) || (code >= 65 && code <= 70);
