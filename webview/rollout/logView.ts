import type { LogLine } from '../../src/extension/rollout/protocol.ts';

/** Height of a line in CSS pixels; page.css says the same. */
const LINE = 18;
/** Lines kept outside the visible part, so that a quick scroll shows no gap. */
const MARGIN = 30;
/** Chromium loses precision beyond some 33 million pixels; longer logs open as a document. */
const MOST = 1_000_000;

/**
 * Log lines of which only the visible ones are in the document: ten thousand scroll as smoothly as ten. Stays at the end
 * while it is at the end. Plain DOM: a template engine has nothing to add to rows that are only moved and refilled.
 */
export class LogView extends HTMLElement {
  #lines: readonly LogLine[] = [];
  #shown: readonly LogLine[] = [];
  #filter = '';
  readonly #space = document.createElement('div');
  readonly #rows = document.createElement('div');
  readonly #pool: HTMLElement[] = [];
  #isAtEnd = true;
  #frame = 0;
  #observer: ResizeObserver | undefined;

  connectedCallback(): void {
    this.tabIndex = 0;
    this.setAttribute('role', 'group');
    this.#space.className = 'log-space';
    this.#rows.className = 'log-rows';
    this.#space.append(this.#rows);
    this.replaceChildren(this.#space);
    this.addEventListener('scroll', this.#onScroll, { passive: true });
    this.#observer = new ResizeObserver(() => this.#drawSoon());
    this.#observer.observe(this);
    this.#refilter();
  }

  disconnectedCallback(): void {
    this.removeEventListener('scroll', this.#onScroll);
    this.#observer?.disconnect();
    cancelAnimationFrame(this.#frame);
  }

  /** All lines; the array grows by replacement, lines never change. */
  set lines(lines: readonly LogLine[]) {
    if (lines === this.#lines) return;
    const isOther = lines[0]?.seq !== this.#lines[0]?.seq || lines.length < this.#lines.length;
    this.#lines = lines;
    if (isOther) this.#isAtEnd = true;
    this.#refilter();
  }

  set filter(text: string) {
    if (text === this.#filter) return;
    this.#filter = text;
    this.#refilter();
  }

  /** How many lines the filter leaves. */
  get count(): number {
    return this.#shown.length;
  }

  #refilter(): void {
    const wanted = this.#filter.trim().toLowerCase();
    const shown = wanted === '' ? this.#lines : this.#lines.filter(({ text }) => text.toLowerCase().includes(wanted));
    this.#shown = shown.slice(-MOST);
    this.#space.style.height = `${this.#shown.length * LINE}px`;
    this.#drawSoon();
  }

  readonly #onScroll = (): void => {
    this.#isAtEnd = this.scrollTop + this.clientHeight >= this.scrollHeight - LINE;
    this.#drawSoon();
  };

  #drawSoon(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    // By the lines there are: after a filter, what was scrolled to may lie far below the last of them.
    const bottom = Math.max(0, this.#shown.length * LINE - this.clientHeight);
    const top = this.#isAtEnd ? bottom : Math.min(this.scrollTop, bottom);
    const first = Math.max(0, Math.floor(top / LINE) - MARGIN);
    const last = Math.min(this.#shown.length, Math.ceil((top + this.clientHeight) / LINE) + MARGIN);
    this.#rows.style.transform = `translateY(${first * LINE}px)`;
    for (let index = first; index < last; index += 1) {
      const line = this.#shown[index];
      const row = this.#row(index - first);
      if (line === undefined) continue;
      row.textContent = withoutAnsi(line.text);
      row.className = line.stream === 'err' ? 'log-line err' : 'log-line';
    }
    for (const row of this.#pool.splice(last - first)) row.remove();
    if (this.#isAtEnd) this.scrollTop = this.scrollHeight;
    else if (this.scrollTop > top) this.scrollTop = top;
  }

  #row(index: number): HTMLElement {
    const known = this.#pool[index];
    if (known !== undefined) return known;
    const row = document.createElement('div');
    this.#pool.push(row);
    this.#rows.append(row);
    return row;
  }
}

function withoutAnsi(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character is what is being removed
  return text.replace(/\u001b\[[0-9;?]*[ -/]*[@-~]/g, '').replaceAll('\t', '    ');
}
