import { posix } from 'node:path';
import type { Diagnostic, Place } from '../problems/index.ts';
import { readYamlDocuments, type YamlNode } from '../yaml/index.ts';
import { factsOfCommand } from './commands.ts';
import { readLegacyRules, readRules } from './gitlabRules.ts';
import type { Fact, Job, JobService, ReadLocal, Trigger, Workflow } from './model.ts';
import { scriptPlace } from './places.ts';
import { severitiesFrom } from './scanCommands.ts';
import { readScript } from './shell.ts';
import { join, literal, literalOf, unknown, type Value, variable } from './values.ts';

export interface GitlabOptions {
  /** `group/project`, when known. */
  readonly repository?: string;
  /** Container registry of the server, `registry.gitlab.com`, when known. */
  readonly registry?: string;
  readonly readLocal?: ReadLocal;
}

/** Top-level keys that are not jobs. */
const GLOBALS = new Set([
  'default',
  'include',
  'stages',
  'variables',
  'workflow',
  'image',
  'services',
  'before_script',
  'after_script',
  'cache',
  'spec',
  'pages_',
]);
const DEFAULT_STAGES = ['.pre', 'build', 'test', 'deploy', '.post'];
const DEEPEST = 8;

/** A top-level entry and the text it stands in, for places inside scripts. */
interface Entry {
  readonly node: YamlNode;
  readonly text: string;
  readonly keyPlace: Place;
}

/** Reads a .gitlab-ci.yml with its local includes. Never throws; what cannot be followed is a diagnostic. */
export function readGitlabPipeline(text: string, file: string, options: GitlabOptions = {}): Workflow {
  const reader = new Reader(text, file, options);
  return reader.read();
}

class Reader {
  readonly #text: string;
  readonly #file: string;
  readonly #options: GitlabOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #diagnostics: Diagnostic[] = [];
  readonly #facts: Fact[] = [];
  readonly #templates: { readonly name: string; readonly place: Place }[] = [];

  constructor(text: string, file: string, options: GitlabOptions) {
    this.#text = text;
    this.#file = file;
    this.#options = options;
  }

  read(): Workflow {
    this.#load(this.#text, this.#file, 0);
    const stages = this.#stages();
    const jobs = [...this.#entries].filter(
      ([name, entry]) => !GLOBALS.has(name) && !name.startsWith('.') && entry.node.kind === 'map',
    );
    const stageOf = (name: string, entry: Entry): string =>
      this.#property(entry, 'stage')?.node.text() ?? (name === 'pages' ? 'deploy' : 'test');
    const ordered = jobs.toSorted(
      ([nameA, a], [nameB, b]) => stages.indexOf(stageOf(nameA, a)) - stages.indexOf(stageOf(nameB, b)),
    );
    const found = ordered.map(([name, entry], index) => {
      const stage = stages.indexOf(stageOf(name, entry));
      const earlier = ordered
        .filter(([other, each]) => stages.indexOf(stageOf(other, each)) < stage)
        .map(([other]) => other);
      return this.#job(name, entry, index, earlier);
    });
    this.#templateFacts(found.length);
    const rules = this.#entries.get('workflow')?.node.get('rules');
    const workflowRules = readRules(rules);
    const trigger: Trigger = {
      event: 'pipeline',
      branches: [],
      branchesIgnore: [],
      tags: [],
      tagsIgnore: [],
      paths: [],
      pathsIgnore: [],
      place: rules?.place ?? { file: this.#file },
    };
    return {
      host: 'gitlab',
      file: this.#file,
      name: 'GitLab CI',
      place: { file: this.#file },
      triggers: [trigger],
      ...(workflowRules !== undefined && { rules: workflowRules }),
      jobs: found,
      facts: this.#facts,
      diagnostics: this.#diagnostics,
    };
  }

  #load(text: string, file: string, depth: number): void {
    const { documents, diagnostics } = readYamlDocuments(text, file);
    this.#diagnostics.push(...diagnostics);
    // A header document declares inputs of the file.
    const root = documents.length > 1 && documents[0]?.get('spec') !== undefined ? documents[1] : documents[0];
    if (root === undefined) return;
    for (const include of this.#includes(root)) this.#include(include, depth);
    for (const { key, keyPlace, value } of root.entries()) this.#entries.set(key, { node: value, text, keyPlace });
  }

  #includes(root: YamlNode): readonly YamlNode[] {
    const include = root.get('include');
    return include === undefined ? [] : include.kind === 'list' ? include.items() : [include];
  }

  #include(include: YamlNode, depth: number): void {
    const word = include.text();
    const local = include.string('local') ?? (word !== undefined && !/^https?:/.test(word) ? word : undefined);
    const template = include.string('template') ?? include.string('component');
    if (template !== undefined) {
      this.#templates.push({ name: template, place: include.place });
      if (/container-scanning/i.test(template)) return;
    }
    const text = local === undefined ? undefined : this.#options.readLocal?.(local.replace(/^\//, ''));
    if (local !== undefined && text !== undefined && depth < DEEPEST) {
      this.#load(text, posix.join(posix.dirname(this.#file.replaceAll('\\', '/')), local), depth + 1);
      return;
    }
    this.#diagnostics.push({
      severity: 'info',
      code: 'workflow.unresolved',
      message: `The include ${template ?? local ?? word ?? include.string('project') ?? include.string('remote') ?? ''} is not read; what it builds or deploys is not known.`,
      place: include.place,
    });
  }

  #stages(): readonly string[] {
    const own =
      this.#entries
        .get('stages')
        ?.node.items()
        .flatMap((item) => item.text() ?? []) ?? [];
    return own.length === 0 ? DEFAULT_STAGES : ['.pre', ...own, '.post'];
  }

  /** A job's property: its own, else of what it extends (the last named wins), else the default's. */
  #property(entry: Entry, key: string, depth = 0): Entry | undefined {
    const own = entry.node.get(key);
    if (own !== undefined) return { ...entry, node: own };
    if (depth > DEEPEST) return undefined;
    for (const name of entry.node.strings('extends').toReversed()) {
      const parent = this.#entries.get(name);
      const inherited = parent === undefined ? undefined : this.#property(parent, key, depth + 1);
      if (inherited !== undefined) return inherited;
    }
    return undefined;
  }

  #defaulted(entry: Entry, key: string): Entry | undefined {
    const fallback = this.#entries.get('default');
    const inDefault = fallback?.node.get(key);
    return (
      this.#property(entry, key) ??
      (inDefault !== undefined && fallback !== undefined ? { ...fallback, node: inDefault } : this.#entries.get(key))
    );
  }

  /** Variables by name: globals, then of what is extended, then the job's. */
  #variables(entry: Entry): Map<string, string> {
    const found = new Map<string, string>();
    const collect = (from: YamlNode | undefined): void => {
      for (const { key, value } of from?.entries() ?? []) {
        const text = value.text() ?? value.string('value');
        if (text !== undefined) found.set(key, text);
      }
    };
    const inherit = (of: Entry, depth: number): void => {
      if (depth > DEEPEST) return;
      for (const name of of.node.strings('extends')) {
        const parent = this.#entries.get(name);
        if (parent !== undefined) inherit(parent, depth + 1);
      }
      collect(of.node.get('variables'));
    };
    collect(this.#entries.get('variables')?.node);
    inherit(entry, 0);
    return found;
  }

  #job(name: string, entry: Entry, index: number, earlier: readonly string[]): Job {
    const environment = this.#property(entry, 'environment')?.node;
    const environmentName = environment?.text() ?? environment?.string('name');
    const needs = this.#property(entry, 'needs')
      ?.node.items()
      .flatMap((item) => item.text() ?? item.string('job') ?? []);
    const matrix = this.#matrix(entry);
    const container = this.#defaulted(entry, 'image')?.node;
    const image = container?.text() ?? container?.string('name');
    const rule = this.#property(entry, 'rules')
      ?.node.items()
      .flatMap((item) => item.string('if') ?? [])
      .join(' || ');
    const when = this.#property(entry, 'when')?.node.text();
    const rules =
      readRules(this.#property(entry, 'rules')?.node) ??
      readLegacyRules(this.#property(entry, 'only')?.node, this.#property(entry, 'except')?.node);
    const condition = rule !== undefined && rule !== '' ? rule : when === 'manual' ? 'manual' : undefined;
    for (const combination of matrix) this.#jobFacts(name, entry, index, combination, condition);
    const scope = this.#resolved(entry, matrix[0] ?? new Map());
    return {
      id: name,
      place: entry.keyPlace,
      needs: needs ?? earlier,
      ...(condition !== undefined && { condition }),
      ...(rules !== undefined && { rules }),
      ...(container !== undefined && image !== undefined && { container: { image, place: container.place } }),
      services: this.#services(entry),
      steps: [],
      matrix,
      ...(environment !== undefined &&
        environmentName !== undefined && {
          environment: { name: expand(environmentName, scope), place: environment.place },
        }),
    };
  }

  #matrix(entry: Entry): readonly ReadonlyMap<string, unknown>[] {
    const matrix = this.#property(entry, 'parallel')?.node.get('matrix');
    if (matrix === undefined) return [new Map()];
    return matrix
      .items()
      .flatMap((item) =>
        item.entries().reduce<Map<string, unknown>[]>(
          (all, { key, value }) => {
            const texts =
              value.kind === 'list' ? value.items().flatMap((each) => each.text() ?? []) : [value.text() ?? ''];
            return all.flatMap((combination) => texts.map((text) => new Map([...combination, [key, text]])));
          },
          [new Map()],
        ),
      )
      .slice(0, 64);
  }

  #services(entry: Entry): readonly JobService[] {
    const variables = this.#variables(entry);
    return (this.#defaulted(entry, 'services')?.node.items() ?? []).flatMap((item): JobService[] => {
      const image = item.text() ?? item.string('name');
      if (image === undefined) return [];
      const base =
        image
          .replace(/[:@].*$/, '')
          .split('/')
          .at(-1) ?? image;
      // A service sees the job's variables; those by its own name are meant for it.
      const prefix = base.replace(/-.*$/, '').toUpperCase();
      const own = [...variables].filter(([key, value]) => key.startsWith(`${prefix}_`) && !value.includes('$'));
      const more =
        item
          .get('variables')
          ?.entries()
          .map(({ key, value }) => [key, value.text() ?? ''] as const) ?? [];
      return [
        {
          name: item.string('alias') ?? base,
          image: literal(image),
          env: Object.fromEntries([...own, ...more]),
          ports: [],
          place: item.place,
        },
      ];
    });
  }

  #resolved(entry: Entry, combination: ReadonlyMap<string, unknown>): ReadonlyMap<string, Value> {
    const texts = new Map([
      ...this.#variables(entry),
      ...[...combination].map(([key, value]) => [key, String(value)] as const),
    ]);
    const resolved = new Map(predefined(this.#options));
    // Variables may name others in any order.
    for (let round = 0; round < 4; round += 1)
      for (const [key, text] of texts) resolved.set(key, expand(text, resolved, key));
    return resolved;
  }

  #jobFacts(
    name: string,
    entry: Entry,
    index: number,
    combination: ReadonlyMap<string, unknown>,
    condition: string | undefined,
  ): void {
    const variables = this.#resolved(entry, combination);
    const lines: { readonly text: string; readonly node: YamlNode; readonly source: string }[] = [];
    for (const key of ['before_script', 'script', 'after_script']) {
      const property = key === 'script' ? this.#property(entry, key) : this.#defaulted(entry, key);
      if (property !== undefined) lines.push(...this.#lines(property, 0));
    }
    // One script, so that a variable set in a line is known in the next; line numbers lead back to the items.
    const starts: number[] = [];
    let count = 0;
    for (const line of lines) {
      starts.push(count);
      count += line.text.split('\n').length;
    }
    const result = readScript(lines.map((line) => line.text).join('\n'), variables, (source) => unknown(source));
    const env = Object.fromEntries(
      [...this.#variables(entry)].flatMap(([key]) => {
        const text = literalOf(variables.get(key));
        return text === undefined ? [] : [[key, text] as const];
      }),
    );
    for (const command of result.commands) {
      const at = starts.findLastIndex((start) => start <= command.line);
      const line = lines[at];
      if (line === undefined) continue;
      const place = scriptPlace(line.node, line.source, command.line - (starts[at] ?? 0));
      const common = {
        job: name,
        order: index * 1_000 + command.line,
        place,
        ...(condition !== undefined && { condition }),
      };
      for (const fact of factsOfCommand(command, common, env)) {
        const isKnown = this.#facts.some(
          (other) => JSON.stringify({ ...other, order: 0 }) === JSON.stringify({ ...fact, order: 0 }),
        );
        if (!isKnown) this.#facts.push(fact);
      }
    }
  }

  /** The lines of a script: texts, nested lists (from anchors) and `!reference [job, key]`. */
  #lines(
    entry: Entry,
    depth: number,
  ): readonly { readonly text: string; readonly node: YamlNode; readonly source: string }[] {
    if (depth > DEEPEST) return [];
    const { node, text } = entry;
    if (node.tag === '!reference') {
      const [job = '', key = ''] = node.items().flatMap((item) => item.text() ?? []);
      const target = this.#entries.get(job);
      const property = target === undefined ? undefined : this.#property(target, key);
      return property === undefined ? [] : this.#lines(property, depth + 1);
    }
    const line = node.text();
    if (line !== undefined) return [{ text: line, node, source: text }];
    return node.items().flatMap((item) => this.#lines({ ...entry, node: item }, depth + 1));
  }

  #templateFacts(jobs: number): void {
    const scanning = this.#templates.find((template) => /container-scanning/i.test(template.name));
    if (scanning === undefined) return;
    const job = this.#entries.get('container_scanning');
    const variables = this.#resolved(
      job ?? {
        node: this.#entries.get('variables')?.node ?? (readYamlDocuments('{}', this.#file).documents[0] as YamlNode),
        text: '',
        keyPlace: scanning.place,
      },
      new Map(),
    );
    const threshold = literalOf(variables.get('CS_SEVERITY_THRESHOLD'));
    const image = variables.get('CS_IMAGE');
    this.#facts.push({
      kind: 'scan',
      job: 'container_scanning',
      order: jobs * 1_000,
      place: job?.keyPlace ?? scanning.place,
      tool: 'gitlab-container-scanning',
      target: 'image',
      ...(image !== undefined && { image }),
      severity: threshold === undefined ? [] : severitiesFrom(threshold),
      ignoreUnfixed: variables.get('CS_IGNORE_UNFIXED')?.join('') === 'true' ? 'yes' : 'no',
      // The template reports; merge request approvals may stop, the job does not.
      gate: 'reports',
    });
  }
}

/** `$NAME` and `${NAME}` of a variable's or environment's text. */
function expand(text: string, variables: ReadonlyMap<string, Value>, self?: string): Value {
  const parts: Value[] = [];
  let at = 0;
  for (const match of text.matchAll(/\$\$|\$\{(\w+)\}|\$(\w+)/g)) {
    parts.push(literal(text.slice(at, match.index)));
    const name = match[1] ?? match[2];
    if (name === undefined) parts.push(literal('$'));
    else parts.push((name === self ? undefined : variables.get(name)) ?? unknown(`$${name}`));
    at = match.index + match[0].length;
  }
  parts.push(literal(text.slice(at)));
  return join(...parts);
}

/** Predefined variables whose meaning is the same in every run. */
function predefined(options: GitlabOptions): readonly (readonly [string, Value])[] {
  const { repository, registry } = options;
  const [name] = repository?.split('/').slice(-1) ?? [];
  return [
    ['CI_COMMIT_SHA', variable('sha')],
    ['CI_COMMIT_SHORT_SHA', variable('sha', 8)],
    ['CI_COMMIT_REF_NAME', variable('ref-name')],
    ['CI_COMMIT_REF_SLUG', variable('ref-name')],
    ['CI_COMMIT_BRANCH', variable('branch')],
    ['CI_COMMIT_TAG', variable('tag')],
    ['CI_PIPELINE_IID', variable('run-number')],
    ['CI_PIPELINE_ID', variable('run-id')],
    ['CI_PIPELINE_SOURCE', variable('event')],
    ['CI_PROJECT_DIR', literal('.')],
    ...(repository === undefined
      ? []
      : ([
          ['CI_PROJECT_PATH', literal(repository)],
          ['CI_PROJECT_NAME', literal(name ?? '')],
          ['CI_PROJECT_NAMESPACE', literal(repository.split('/').slice(0, -1).join('/'))],
        ] as const)),
    ...(registry === undefined ? [] : ([['CI_REGISTRY', literal(registry)]] as const)),
    ...(registry === undefined || repository === undefined
      ? []
      : ([['CI_REGISTRY_IMAGE', literal(`${registry}/${repository.toLowerCase()}`)]] as const)),
  ];
}
