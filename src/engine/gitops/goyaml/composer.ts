/**
 * Nodes with their comments, as go.yaml.in/yaml v3.0.4 composes them. The order in which tokens are looked at and taken
 * is kept, because looking at a token is what hands the waiting comments over.
 */
import type { Comment, Node, ScalarNode } from './nodes.ts';
import { Scanner } from './scanner.ts';
import { type PendingComment, ScanError, T, type Token } from './tokens.ts';

export interface YamlError {
  readonly error: string;
  /** Offset in the composed text. */
  readonly at: number;
}

const deepest = 1000;

/**
 * The first document of the text, which is all that Flux reads of a piece between two `---` lines. Undefined when there
 * is no document. `text` has `\n` where the file had `\r\n`, and no byte order mark.
 */
export function composeFirst(text: string): Node | YamlError | undefined {
  try {
    return new Composer(text).document();
  } catch (error) {
    if (error instanceof ScanError) return { error: error.message, at: error.at };
    throw error;
  }
}

export const isYamlError = (value: object): value is YamlError => 'error' in value && !('kind' in value);

interface Properties {
  readonly tag: string | undefined;
  readonly tagStart: number;
  readonly anchor: string | undefined;
}

class Composer {
  readonly #scanner: Scanner;
  #comments = 0;
  #isFetched = false;
  #head: PendingComment[] = [];
  #headText = '';
  #line: PendingComment[] = [];
  readonly #anchors = new Set<string>();
  #depth = 0;
  /** Nodes so far that carry a comment. */
  #carriers = 0;

  constructor(text: string) {
    this.#scanner = new Scanner(text);
  }

  #peek(): Token {
    if (!this.#isFetched) {
      this.#scanner.fetch();
      this.#isFetched = true;
    }
    const token = this.#scanner.tokens[this.#scanner.head];
    if (token === undefined) throw new ScanError('the text ends in the middle of a value', 0);
    const comments = this.#scanner.comments;
    while (this.#comments < comments.length) {
      const comment = comments[this.#comments];
      if (comment === undefined || token.start < comment.tokenAt) break;
      if (comment.kind === 'head') {
        if (token.type === T.blockEnd) break;
        this.#headText += this.#headText === '' ? comment.text : `\n${comment.text}`;
        this.#head.push({ ...comment });
      } else if (comment.kind === 'line') this.#line.push({ ...comment });
      comment.kind = 'done';
      comment.tokenAt = 0;
      comment.start = 0;
      comment.startColumn = 0;
      comment.scanAt = 0;
      comment.endAt = 0;
      this.#comments += 1;
    }
    return token;
  }

  #skip(): void {
    this.#isFetched = false;
    this.#scanner.head += 1;
  }

  /** Hands the collected comments to the event at hand. */
  #take(): { readonly head: Comment | undefined; readonly line: Comment | undefined } {
    if (this.#headText === '' && this.#line.length === 0) return noComments;
    this.#carriers += 1;
    const head = commentOf(this.#headText, this.#head);
    const line = commentOf(this.#line.map(({ text }) => text).join('\n'), this.#line);
    this.#headText = '';
    this.#head = [];
    this.#line = [];
    return { head, line };
  }

  #since(carriers: number): boolean {
    return this.#carriers > carriers;
  }

  document(): Node | undefined {
    this.#peek();
    this.#skip();
    let token = this.#peek();
    if (token.type === T.streamEnd) return undefined;
    if (token.type === T.directive) token = this.#directives(token);
    let node: Node;
    if (token.type === T.documentStart) {
      this.#skip();
      const { type, start } = this.#peek();
      node = [T.directive, T.documentStart, T.documentEnd, T.streamEnd].some((one) => one === type)
        ? emptyScalar(start)
        : this.#node('block', 'plain');
    } else {
      this.#splitDocumentHead();
      node = this.#node('block', 'plain');
    }
    if (this.#peek().type === T.documentEnd) this.#skip();
    // What stands here without a document end or start is left over and never read; a stray "]" is an error of go-yaml
    // only when the next document is asked for, which Flux does not do.
    return node;
  }

  /** Directives must be followed by a `---` line, which in Flux they never are: it cuts the file there first. */
  #directives(first: Token): Token {
    let token = first;
    let versions = 0;
    while (token.type === T.directive) {
      if (token.text.startsWith('%YAML')) {
        versions += 1;
        if (versions > 1) throw new ScanError('a second %YAML directive', token.start);
        if (!/^%YAML[ \t]+0?1\.0?1$/.test(token.text))
          throw new ScanError('a YAML version other than 1.1', token.start);
      }
      this.#skip();
      token = this.#peek();
    }
    if (token.type !== T.documentStart) throw new ScanError('a % directive, which Flux cannot read', first.start);
    return token;
  }

  /** The part of the first comment above its last empty line belongs to the document, not to the first node. */
  #splitDocumentHead(): void {
    const text = this.#headText;
    for (let at = text.length - 1; at > 0; at -= 1) {
      if (text[at] !== '\n') continue;
      if (at === text.length - 1 || text[at - 1] === '\n') {
        this.#headText = text.slice(at + 1);
        return;
      }
    }
  }

  #node(context: 'block' | 'flow', sequences: 'indentless' | 'plain'): Node {
    this.#depth += 1;
    if (this.#depth > deepest) throw new ScanError('collections nested too deep', this.#peek().start);
    const node = this.#nodeInside(context, sequences);
    this.#depth -= 1;
    return node;
  }

  #nodeInside(context: 'block' | 'flow', sequences: 'indentless' | 'plain'): Node {
    let token = this.#peek();
    if (token.type === T.alias) {
      const comments = this.#take();
      if (!this.#anchors.has(token.text)) throw new ScanError(`the alias *${token.text} has no anchor`, token.start);
      this.#skip();
      return { kind: 'alias', name: token.text, start: token.start, end: token.end, ...comments };
    }
    const { start } = token;
    const carriers = this.#carriers;
    let tag: string | undefined;
    let tagStart = start;
    let anchor: string | undefined;
    if (token.type === T.anchor || token.type === T.tag) {
      ({ tag, tagStart, anchor } = this.#properties(token));
      token = this.#peek();
    }
    if (sequences === 'indentless' && token.type === T.blockEntry) {
      this.#remember(anchor);
      const items = this.#indentlessItems();
      return { kind: 'sequence', style: 'block', tag, start, end: start, items, hasComments: this.#since(carriers) };
    }
    if (token.type === T.scalar) {
      const comments = this.#take();
      this.#skip();
      this.#remember(anchor);
      return {
        kind: 'scalar',
        value: token.text,
        style: token.style,
        tag,
        tagStart,
        anchor,
        start: token.start,
        end: token.end,
        block: token.block,
        head: comments.head,
        line: comments.line,
      };
    }
    if (token.type === T.flowSequenceStart) {
      this.#take();
      this.#remember(anchor);
      const { parts: items, end } = this.#flowItems();
      return { kind: 'sequence', style: 'flow', tag, start, end, items, hasComments: this.#since(carriers) };
    }
    if (token.type === T.flowMappingStart) {
      this.#take();
      this.#remember(anchor);
      const { parts: entries, end } = this.#flowEntries();
      return { kind: 'mapping', style: 'flow', tag, start, end, entries, hasComments: this.#since(carriers) };
    }
    if (context === 'block' && token.type === T.blockSequenceStart) {
      this.#remember(anchor);
      const items = this.#blockItems();
      return { kind: 'sequence', style: 'block', tag, start, end: start, items, hasComments: this.#since(carriers) };
    }
    if (context === 'block' && token.type === T.blockMappingStart) {
      this.#remember(anchor);
      const entries = this.#blockEntries();
      return { kind: 'mapping', style: 'block', tag, start, end: start, entries, hasComments: this.#since(carriers) };
    }
    if (anchor !== undefined || tag !== undefined) {
      this.#remember(anchor);
      return { ...emptyScalar(token.start), tag, tagStart, anchor };
    }
    throw new ScanError('a value is missing here', token.start);
  }

  #properties(first: Token): Properties {
    let tag: string | undefined;
    let tagStart = first.start;
    let anchor: string | undefined;
    let token = first;
    for (let count = 0; count < 2; count += 1) {
      if (token.type === T.anchor && anchor === undefined) anchor = token.text;
      else if (token.type === T.tag && tag === undefined) {
        tag = token.text;
        tagStart = token.start;
      } else break;
      this.#skip();
      token = this.#peek();
    }
    return { tag, tagStart, anchor };
  }

  #remember(anchor: string | undefined): void {
    if (anchor !== undefined) this.#anchors.add(anchor);
  }

  #blockItems(): Node[] {
    this.#peek();
    this.#skip();
    const items: Node[] = [];
    for (;;) {
      const token = this.#peek();
      if (token.type === T.blockEnd) {
        this.#skip();
        return items;
      }
      if (token.type !== T.blockEntry) throw new ScanError('a list item without its "-"', token.start);
      items.push(this.#item(token, [T.blockEntry, T.blockEnd]));
    }
  }

  #indentlessItems(): Node[] {
    const items: Node[] = [];
    for (;;) {
      const token = this.#peek();
      if (token.type !== T.blockEntry) return items;
      items.push(this.#item(token, [T.blockEntry, T.key, T.value, T.blockEnd]));
    }
  }

  #item(entry: Token, emptyBefore: readonly number[]): Node {
    const headLength = this.#headText.length;
    this.#skip();
    this.#splitStem(headLength);
    const token = this.#peek();
    return emptyBefore.includes(token.type) ? emptyScalar(entry.end) : this.#node('block', 'plain');
  }

  /** A comment above an item that is itself a collection belongs to the collection, not to what is first inside. */
  #splitStem(length: number): void {
    if (length === 0) return;
    const { type } = this.#peek();
    if (type !== T.blockSequenceStart && type !== T.blockMappingStart) return;
    this.#headText = this.#headText.length === length ? '' : this.#headText.slice(length + 1);
    this.#head = this.#head.slice(1);
  }

  #blockEntries(): { key: Node; value: Node }[] {
    this.#peek();
    this.#skip();
    const entries: { key: Node; value: Node }[] = [];
    for (;;) {
      const token = this.#peek();
      if (token.type === T.blockEnd) {
        this.#take();
        this.#skip();
        return entries;
      }
      if (token.type !== T.key) throw new ScanError('a key is missing here, or the indentation is wrong', token.start);
      this.#skip();
      const key = this.#isOneOf(T.key, T.value, T.blockEnd)
        ? emptyScalar(token.end)
        : this.#node('block', 'indentless');
      entries.push({ key, value: this.#blockValue() });
    }
  }

  #blockValue(): Node {
    const token = this.#peek();
    if (token.type !== T.value) return emptyScalar(token.start);
    this.#skip();
    return this.#isOneOf(T.key, T.value, T.blockEnd) ? emptyScalar(token.end) : this.#node('block', 'indentless');
  }

  #isOneOf(...types: readonly number[]): boolean {
    return types.includes(this.#peek().type);
  }

  #flowItems(): { readonly parts: Node[]; readonly end: number } {
    this.#peek();
    this.#skip();
    const items: Node[] = [];
    for (;;) {
      let token = this.#peek();
      if (token.type !== T.flowSequenceEnd && items.length > 0) {
        if (token.type !== T.flowEntry) throw new ScanError('"," or "]" is missing here', token.start);
        this.#skip();
        token = this.#peek();
      }
      if (token.type === T.flowSequenceEnd) break;
      if (token.type === T.key) {
        this.#skip();
        const { start } = token;
        const carriers = this.#carriers;
        const entries = [this.#flowPair()];
        const hasComments = this.#since(carriers);
        items.push({ kind: 'mapping', style: 'flow', tag: undefined, start, end: start, entries, hasComments });
      } else items.push(this.#node('flow', 'plain'));
    }
    const { end } = this.#peek();
    this.#take();
    this.#skip();
    return { parts: items, end };
  }

  /** `key: value` as an item of a flow sequence. */
  #flowPair(): { key: Node; value: Node } {
    let key: Node;
    const token = this.#peek();
    if (token.type === T.value || token.type === T.flowEntry || token.type === T.flowSequenceEnd) {
      this.#skip();
      key = emptyScalar(token.end);
    } else key = this.#node('flow', 'plain');
    if (this.#peek().type === T.value) {
      this.#skip();
      if (!this.#isOneOf(T.flowEntry, T.flowSequenceEnd)) return { key, value: this.#node('flow', 'plain') };
    }
    return { key, value: emptyScalar(this.#peek().start) };
  }

  #flowEntries(): { readonly parts: { key: Node; value: Node }[]; readonly end: number } {
    this.#peek();
    this.#skip();
    const entries: { key: Node; value: Node }[] = [];
    for (;;) {
      let token = this.#peek();
      if (token.type !== T.flowMappingEnd && entries.length > 0) {
        if (token.type !== T.flowEntry) throw new ScanError('"," or "}" is missing here', token.start);
        this.#skip();
        token = this.#peek();
      }
      if (token.type === T.flowMappingEnd) break;
      if (token.type === T.key) {
        this.#skip();
        const { start } = this.#peek();
        const key = this.#isOneOf(T.value, T.flowEntry, T.flowMappingEnd)
          ? emptyScalar(start)
          : this.#node('flow', 'plain');
        entries.push({ key, value: this.#flowValue() });
      } else {
        const key = this.#node('flow', 'plain');
        entries.push({ key, value: emptyScalar(this.#peek().start) });
      }
    }
    const { end } = this.#peek();
    this.#take();
    this.#skip();
    return { parts: entries, end };
  }

  #flowValue(): Node {
    if (this.#peek().type === T.value) {
      this.#skip();
      if (!this.#isOneOf(T.flowEntry, T.flowMappingEnd)) return this.#node('flow', 'plain');
    }
    return emptyScalar(this.#peek().start);
  }
}

const noComments = { head: undefined, line: undefined };

function commentOf(text: string, parts: readonly PendingComment[]): Comment | undefined {
  // The last part is the nearest to the node, and the one whose place is shown.
  const nearest = parts.at(-1);
  if (text === '' || nearest === undefined) return undefined;
  const firstLine = nearest.text.split('\n', 1)[0] ?? '';
  return { text, start: nearest.start, end: nearest.start + firstLine.length };
}

function emptyScalar(at: number): ScalarNode {
  return {
    kind: 'scalar',
    value: '',
    style: 'plain',
    tag: undefined,
    tagStart: at,
    anchor: undefined,
    start: at,
    end: at,
    block: undefined,
    head: undefined,
    line: undefined,
  };
}
