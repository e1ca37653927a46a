import { StringDecoder } from 'node:string_decoder';
import type { EventBody } from '../events/index.ts';

type VertexEvent = Extract<EventBody, { readonly type: 'build.vertex' }>;

interface RawVertex {
  readonly digest?: string;
  readonly name?: string;
  readonly started?: string;
  readonly completed?: string;
  readonly cached?: boolean;
  readonly error?: string;
}

interface RawMessage {
  readonly vertexes?: readonly RawVertex[] | null;
  readonly logs?: readonly { readonly vertex?: string; readonly stream?: number; readonly data?: string }[] | null;
  readonly warnings?: readonly RawWarning[] | null;
}

interface RawWarning {
  readonly short?: string;
  readonly detail?: readonly string[];
  readonly url?: string;
  readonly range?: readonly { readonly start?: { readonly line?: number } }[];
}

export interface BuildWarning {
  readonly message: string;
  readonly detail: string;
  readonly url?: string;
  /** 0-based line of the Dockerfile. */
  readonly line?: number;
}

/** Characters of a step's output that a failure is explained with. */
const MOST_LAST_WORDS = 4_000;

/**
 * Reads `--progress=rawjson` from stderr as it arrives. Up to buildx 0.14 each message is printed over many lines, later
 * one to a line, so objects are found by their braces. What is not JSON is buildx speaking to people: kept as `text`.
 */
export class ProgressReader {
  readonly #emit: (event: EventBody) => void;
  readonly #vertexes = new Map<string, VertexEvent & { readonly started?: string }>();
  readonly #lastWords = new Map<string, string>();
  readonly #decoders = new Map<string, StringDecoder>();
  readonly #warnings: BuildWarning[] = [];
  /** Vertexes of which an event went out already. */
  readonly #told = new Set<string>();
  #buffer = '';
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  #start = -1;
  #scanned = 0;
  #text = '';

  constructor(emit: (event: EventBody) => void) {
    this.#emit = emit;
  }

  /** Everything that was not progress: the human error after a failure. */
  get text(): string {
    return this.#text + (this.#start === -1 ? this.#buffer : '');
  }

  get warnings(): readonly BuildWarning[] {
    return this.#warnings;
  }

  /** The last of what a step wrote, both streams. */
  lastWordsOf(vertex: string): string {
    return this.#lastWords.get(vertex) ?? '';
  }

  get vertexes(): readonly VertexEvent[] {
    return [...this.#vertexes.values()];
  }

  push(chunk: string): void {
    this.#buffer += chunk;
    for (; this.#scanned < this.#buffer.length; this.#scanned += 1) {
      const char = this.#buffer[this.#scanned];
      if (this.#start === -1) {
        // A message begins with a brace at the start of a line; braces inside human text do not count.
        const before = this.#buffer[this.#scanned - 1];
        if (char === '{' && (this.#scanned === 0 || before === '\n' || before === '}')) {
          this.#text += this.#buffer.slice(0, this.#scanned);
          this.#buffer = this.#buffer.slice(this.#scanned);
          this.#scanned = 0;
          this.#start = 0;
          this.#depth = 1;
        }
        continue;
      }
      if (this.#isInString) {
        if (this.#isEscaped) this.#isEscaped = false;
        else if (char === '\\') this.#isEscaped = true;
        else if (char === '"') this.#isInString = false;
        continue;
      }
      if (char === '"') this.#isInString = true;
      else if (char === '{') this.#depth += 1;
      else if (char === '}') {
        this.#depth -= 1;
        if (this.#depth > 0) continue;
        const json = this.#buffer.slice(0, this.#scanned + 1);
        this.#buffer = this.#buffer.slice(this.#scanned + 1).replace(/^\r?\n/, '');
        this.#scanned = -1;
        this.#start = -1;
        this.#message(json);
      }
    }
  }

  #message(json: string): void {
    let message: RawMessage;
    try {
      message = JSON.parse(json) as RawMessage;
    } catch {
      // Human text that happened to start with a brace.
      this.#text += `${json}\n`;
      return;
    }
    if (!('vertexes' in message) && !('logs' in message) && !('statuses' in message) && !('warnings' in message)) {
      this.#text += `${json}\n`;
      return;
    }
    for (const vertex of message.vertexes ?? []) this.#vertex(vertex);
    for (const log of message.logs ?? []) {
      const key = `${log.vertex ?? ''} ${log.stream ?? 1}`;
      let decoder = this.#decoders.get(key);
      if (decoder === undefined) {
        // Log chunks may end in the middle of a character.
        decoder = new StringDecoder('utf8');
        this.#decoders.set(key, decoder);
      }
      const text = decoder.write(Buffer.from(log.data ?? '', 'base64'));
      const vertex = log.vertex ?? '';
      const source = this.#vertexes.get(vertex)?.name;
      this.#lastWords.set(vertex, `${this.#lastWords.get(vertex) ?? ''}${text}`.slice(-MOST_LAST_WORDS));
      if (text !== '')
        this.#emit({
          type: 'log',
          stream: log.stream === 2 ? 'err' : 'out',
          text,
          ...(source !== undefined && { source }),
        });
    }
    for (const warning of message.warnings ?? []) {
      const decode = (value: string | undefined): string => Buffer.from(value ?? '', 'base64').toString('utf8');
      const line = warning.range?.[0]?.start?.line;
      this.#warnings.push({
        message: decode(warning.short),
        detail: (warning.detail ?? []).map(decode).join('\n'),
        ...(warning.url !== undefined && { url: warning.url }),
        ...(line !== undefined && line > 0 && { line: line - 1 }),
      });
    }
  }

  /** The same digest comes again and again, each time with what is known by then. */
  #vertex(raw: RawVertex): void {
    const digest = raw.digest ?? '';
    const before = this.#vertexes.get(digest);
    const name = raw.name ?? before?.name ?? '';
    const started = raw.started ?? before?.started;
    const state =
      raw.error !== undefined && raw.error !== ''
        ? 'failed'
        : raw.cached === true
          ? 'cached'
          : raw.completed !== undefined && raw.completed !== null
            ? 'done'
            : started !== undefined && started !== null
              ? 'running'
              : undefined;
    if (state === undefined && before === undefined) {
      // Announced, not begun: nothing to show yet, but its name is wanted for logs.
      this.#vertexes.set(digest, { type: 'build.vertex', digest, name, state: 'running' });
      return;
    }
    if (state === undefined) return;
    const platform = /^\[(linux|windows|darwin|freebsd)\/([a-z0-9_]+(?:\/v\d)?)/.exec(name);
    const vertex: VertexEvent = {
      type: 'build.vertex',
      digest,
      name,
      state,
      ...(platform !== null && { platform: `${platform[1]}/${platform[2]}` }),
      ...(raw.error !== undefined && raw.error !== '' && { error: raw.error }),
      ...(started !== undefined &&
        started !== null &&
        typeof raw.completed === 'string' && {
          durationMs: Math.max(0, Date.parse(raw.completed) - Date.parse(started)),
        }),
    };
    this.#vertexes.set(digest, { ...vertex, ...(started !== undefined && { started }) });
    if (before?.state !== state || !this.#told.has(digest)) {
      this.#told.add(digest);
      this.#emit(vertex);
    }
  }
}
