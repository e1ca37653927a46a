/** Where a scanner stands in its text. */
import { carriageReturn, isBlankOrEnd, newline } from './characters.ts';
import { ScanError } from './tokens.ts';

export interface Mark {
  readonly index: number;
  readonly line: number;
  readonly column: number;
}

export abstract class Cursor {
  protected readonly text: string;
  protected pos = 0;
  protected line = 0;
  protected lineStart = 0;
  protected newlines = 0;

  /** `text` has `\n` line ends where the file had `\r\n`, and no byte order mark. */
  constructor(text: string) {
    this.text = `${text}\0\0\0\0`;
  }

  protected get column(): number {
    return this.pos - this.lineStart;
  }

  protected mark(): Mark {
    return { index: this.pos, line: this.line, column: this.column };
  }

  protected code(ahead = 0): number {
    return this.text.charCodeAt(this.pos + ahead);
  }

  protected fail(message: string, at: number = this.pos): never {
    throw new ScanError(message, at);
  }

  protected skipLine(): void {
    this.pos += this.code() === carriageReturn && this.code(1) === newline ? 2 : 1;
    this.line += 1;
    this.lineStart = this.pos;
    this.newlines += 1;
  }

  /** Moves past characters that are neither blank nor breaks, at least in part. */
  protected moveTo(pos: number): void {
    this.pos = pos;
    this.newlines = 0;
  }

  protected isIndicator(code: number): boolean {
    return this.code(1) === code && this.code(2) === code && isBlankOrEnd(this.code(3));
  }
}
