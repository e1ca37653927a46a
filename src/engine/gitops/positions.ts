import type { Range } from '../problems/index.ts';

/** Line starts of a text: turns UTF-16 offsets into the positions that editors use. `\n`, `\r\n` and `\r` end a line. */
export class Lines {
  readonly #starts: readonly number[];
  readonly #text: string;

  constructor(text: string) {
    const starts = [0];
    for (let at = 0; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (code === 10 || (code === 13 && text.charCodeAt(at + 1) !== 10)) starts.push(at + 1);
    }
    this.#starts = starts;
    this.#text = text;
  }

  /** Number of the line that holds the offset, from 0. */
  lineAt(offset: number): number {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  rangeAt(start: number, end: number): Range {
    const first = this.lineAt(start);
    const last = this.lineAt(end);
    return {
      start: { line: first, character: start - (this.#starts[first] ?? 0) },
      end: { line: last, character: end - (this.#starts[last] ?? 0) },
    };
  }

  /** Offset of a position; characters beyond the line's end count as its end. */
  offsetAt(line: number, character: number): number {
    const start = this.#starts[line] ?? this.#text.length;
    const next = this.#starts[line + 1] ?? this.#text.length + 1;
    return Math.min(start + character, next - 1);
  }
}
