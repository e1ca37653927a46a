import { readYamlDocuments, type YamlNode } from '../yaml/index.ts';
import { factsOfCommand } from './commands.ts';
import { GitlabConfig, type GitlabEntry } from './gitlabConfig.ts';
import { isLost, type JobRule, readLegacyRules, readRules } from './gitlabRules.ts';
import { isPlainTemplate, templateRules } from './gitlabTemplates.ts';
import { expand, predefined } from './gitlabVariables.ts';
import { type Fact, type Job, type JobService, type ReadLocal, unfilteredTrigger, type Workflow } from './model.ts';
import { scriptPlace } from './places.ts';
import { severitiesFrom } from './scanCommands.ts';
import { readScript } from './shell.ts';
import { literalOf, unknown, type Value } from './values.ts';

export interface GitlabOptions {
  /** `group/project`, when known. */
  readonly repository?: string;
  /** Container registry of the server, `registry.gitlab.com`, when known. */
  readonly registry?: string;
  readonly readLocal?: ReadLocal;
  /** All paths of the repository, for includes with wildcards. */
  readonly paths?: readonly string[];
}

/** Top-level keys that are not jobs. */
const GLOBALS = new Set([
  'default',
  'include',
  'stages',
  'types',
  'variables',
  'workflow',
  'image',
  'services',
  'before_script',
  'after_script',
  'cache',
  'spec',
]);
const DEFAULT_STAGES = ['.pre', 'build', 'test', 'deploy', '.post'];
const DEEPEST = 10;
/** Child pipelines may nest two deep. */
const DEEPEST_CHILD = 2;

/**
 * Reads a .gitlab-ci.yml with its local includes and child pipelines. Never throws; what cannot be followed is a
 * diagnostic.
 */
export function readGitlabPipeline(text: string, file: string, options: GitlabOptions = {}): Workflow {
  const root = file.replaceAll('\\', '/').replace(/[^/]*$/, '');
  const config = new GitlabConfig(root, options);
  config.addFile(text, file);
  const reader = new Reader(config, root, options);
  const jobs = reader.jobs();
  const workflow = config.entry('workflow')?.node.get('rules');
  const rules = readRules(workflow) ?? templateRules(config.templates);
  const trigger = unfilteredTrigger('pipeline', workflow?.place ?? { file });
  const unread = config.unread.filter((name) => !isPlainTemplate(name));
  return {
    host: 'gitlab',
    file,
    name: config.entry('workflow')?.node.string('name') ?? 'GitLab CI',
    place: { file },
    triggers: [trigger],
    ...(rules !== undefined && { rules }),
    ...(unread.length > 0 && { unread }),
    jobs,
    facts: reader.facts,
    diagnostics: [...config.diagnostics, ...reader.diagnostics],
  };
}

/** A child pipeline: which job starts it, and what it hands down. */
interface Parent {
  readonly job: string;
  readonly prefix: string;
  readonly variables: ReadonlyMap<string, string>;
  readonly depth: number;
}

interface Line {
  readonly text: string;
  readonly node: YamlNode;
}

class Reader {
  readonly facts: Fact[] = [];
  readonly diagnostics: Workflow['diagnostics'][number][] = [];
  readonly #config: GitlabConfig;
  readonly #root: string;
  readonly #options: GitlabOptions;
  readonly #parent: Parent | undefined;
  readonly #known = new Set<string>();

  constructor(config: GitlabConfig, root: string, options: GitlabOptions, parent?: Parent) {
    this.#config = config;
    this.#root = root;
    this.#options = options;
    this.#parent = parent;
  }

  jobs(): readonly Job[] {
    const config = this.#config;
    const stages = this.#stages();
    const entries = config.names
      .filter((name) => !GLOBALS.has(name) && !name.startsWith('.'))
      .flatMap((name) => {
        const entry = config.entry(name);
        return entry?.node.kind === 'map' ? [{ name, entry }] : [];
      });
    const stageOf = (name: string, entry: GitlabEntry): number =>
      stages.indexOf(entry.node.string('stage') ?? (name === 'pages' ? 'deploy' : 'test'));
    const ordered = entries.toSorted((a, b) => stageOf(a.name, a.entry) - stageOf(b.name, b.entry));
    const jobs = ordered.flatMap(({ name, entry }, index) => {
      const stage = stageOf(name, entry);
      const earlier = ordered.filter((other) => stageOf(other.name, other.entry) < stage).map((other) => other.name);
      const job = this.#job(name, entry, index, earlier);
      return [job, ...this.#children(entry, job)];
    });
    this.#templateFacts(ordered.length);
    return jobs;
  }

  #stages(): readonly string[] {
    const own =
      this.#config
        .entry('stages')
        ?.node.items()
        .flatMap((item) => item.text() ?? []) ?? [];
    return own.length === 0 ? DEFAULT_STAGES : ['.pre', ...own.filter((name) => !/^\.(pre|post)$/.test(name)), '.post'];
  }

  /** A job's property; null takes away what was inherited. */
  #property(entry: GitlabEntry, key: string): YamlNode | undefined {
    const node = entry.node.get(key);
    return node === undefined || (node.kind === 'empty' && !isLost(node)) ? undefined : node;
  }

  /** With the fallback to `default`, or to the global key that came before it, unless `inherit` says otherwise. */
  #defaulted(entry: GitlabEntry, key: string): YamlNode | undefined {
    const own = entry.node.get(key);
    if (own !== undefined) return this.#property(entry, key);
    if (!inherits(entry, 'default', key)) return undefined;
    return this.#config.entry('default')?.node.get(key) ?? this.#config.entry(key)?.node;
  }

  /** Variables by name: of the file, then the job's, then what a parent pipeline hands down. */
  #variables(entry: GitlabEntry): Map<string, string> {
    const found = new Map<string, string>();
    const collect = (from: YamlNode | undefined, isWanted: (name: string) => boolean): void => {
      for (const { key, value } of from?.entries() ?? []) {
        const text = value.text() ?? value.string('value');
        if (text !== undefined && isWanted(key)) found.set(key, text);
      }
    };
    collect(this.#config.entry('variables')?.node, (name) => inherits(entry, 'variables', name));
    collect(entry.node.get('variables'), () => true);
    for (const [key, value] of this.#parent?.variables ?? []) found.set(key, value);
    return found;
  }

  #job(name: string, entry: GitlabEntry, index: number, earlier: readonly string[]): Job {
    const id = this.#id(name);
    const environment = this.#property(entry, 'environment');
    const environmentName = environment?.text() ?? environment?.string('name');
    const needs = this.#property(entry, 'needs')
      ?.items()
      .flatMap((item) => item.text() ?? (item.string('pipeline') === undefined ? item.string('job') : undefined) ?? []);
    const matrix = this.#matrix(entry);
    const container = this.#defaulted(entry, 'image');
    const image = container?.text() ?? container?.string('name');
    const written = this.#property(entry, 'rules');
    const ifs = readRules(written)?.flatMap((rule) => rule.if ?? []) ?? [];
    const when = this.#property(entry, 'when')?.text();
    const rules = this.#rules(entry, written);
    const condition = ifs.length > 0 ? ifs.join(' || ') : when === 'manual' ? 'manual' : undefined;
    for (const combination of matrix) this.#jobFacts(id, entry, index, combination, condition);
    const scope = this.#resolved(entry, matrix[0] ?? new Map());
    const parent = this.#parent?.job;
    const artifacts = this.#defaulted(entry, 'artifacts');
    const junit = (artifacts?.get('reports')?.strings('junit') ?? []).flatMap(
      (path) => literalOf(expand(path, scope))?.replace(/^\.\//, '') ?? [],
    );
    return {
      id,
      place: entry.keyPlace,
      needs: [...(needs ?? earlier).map((need) => this.#id(need)), ...(parent === undefined ? [] : [parent])],
      ...(condition !== undefined && { condition }),
      ...(rules !== undefined && { rules }),
      ...(when !== undefined && { when }),
      ...(entry.conditions.length > 0 && { includedBy: entry.conditions }),
      ...(parent !== undefined && { parent }),
      variables: this.#variables(entry),
      ...(junit.length > 0 && { junit }),
      ...(container !== undefined && image !== undefined && { container: { image, place: container.place } }),
      services: this.#services(entry, scope),
      steps: [],
      matrix,
      ...(environment !== undefined &&
        environmentName !== undefined && {
          environment: { name: expand(environmentName, scope), place: environment.place },
        }),
    };
  }

  /** `rules`, or `only` and `except` in their words. A job that takes from what was not read may have others. */
  #rules(entry: GitlabEntry, written: YamlNode | undefined): readonly JobRule[] | undefined {
    const [only, except] = [this.#property(entry, 'only'), this.#property(entry, 'except')];
    const rules = isLost(written)
      ? [{ unread: 'a !reference that leads to nothing', place: written?.place ?? entry.keyPlace }]
      : (readRules(written) ?? readLegacyRules(only, except));
    const [lost] = entry.missing;
    return rules === undefined && lost !== undefined ? [{ unread: lost, place: entry.keyPlace }] : rules;
  }

  #id(name: string): string {
    return `${this.#parent?.prefix ?? ''}${name}`;
  }

  /** The jobs of the child pipeline that a job starts, read in its place. */
  #children(entry: GitlabEntry, job: Job): readonly Job[] {
    const trigger = this.#property(entry, 'trigger');
    if (trigger === undefined) return [];
    const include = trigger.get('include');
    const depth = (this.#parent?.depth ?? 0) + 1;
    if (include === undefined || depth > DEEPEST_CHILD) {
      const project = trigger.text() ?? trigger.string('project') ?? 'the next one';
      this.diagnostics.push({
        severity: 'info',
        code: 'workflow.unresolved',
        message: `The pipeline of ${project} that ${job.id} starts is not read; what it builds or deploys is not known.`,
        place: trigger.place,
      });
      return [];
    }
    const config = new GitlabConfig(this.#root, this.#options);
    config.addIncludes(include);
    const isForwarded = trigger.at('forward', 'yaml_variables')?.text() !== 'false';
    const child = new Reader(config, this.#root, this.#options, {
      job: job.id,
      prefix: `${job.id} / `,
      variables: isForwarded ? (job.variables ?? new Map()) : new Map(),
      depth,
    });
    const jobs = child.jobs();
    this.facts.push(...child.facts);
    this.diagnostics.push(...config.diagnostics, ...child.diagnostics);
    const rules = readRules(config.entry('workflow')?.node.get('rules')) ?? templateRules(config.templates);
    return rules === undefined
      ? jobs
      : jobs.map((each) => (each.parent === job.id ? { ...each, pipelineRules: rules } : each));
  }

  #matrix(entry: GitlabEntry): readonly ReadonlyMap<string, unknown>[] {
    const matrix = this.#property(entry, 'parallel')?.get('matrix');
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

  #services(entry: GitlabEntry, resolved: ReadonlyMap<string, Value>): readonly JobService[] {
    const variables = this.#variables(entry);
    return (this.#defaulted(entry, 'services')?.items() ?? []).flatMap((item): JobService[] => {
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
          image: expand(image, resolved),
          env: Object.fromEntries([...own, ...more]),
          ports: [],
          place: item.place,
        },
      ];
    });
  }

  #resolved(entry: GitlabEntry, combination: ReadonlyMap<string, unknown>): ReadonlyMap<string, Value> {
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
    entry: GitlabEntry,
    index: number,
    combination: ReadonlyMap<string, unknown>,
    condition: string | undefined,
  ): void {
    const variables = this.#resolved(entry, combination);
    const lines: Line[] = [];
    for (const key of ['before_script', 'script', 'after_script']) {
      const property = key === 'script' ? this.#property(entry, key) : this.#defaulted(entry, key);
      if (property !== undefined) lines.push(...scriptLines(property, 0));
    }
    // `run` lists steps; those of other kinds run functions of other repositories.
    for (const step of this.#property(entry, 'run')?.items() ?? []) {
      const script = step.get('script');
      if (script !== undefined) lines.push(...scriptLines(script, 0));
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
      [...this.#variables(entry), ...combination].flatMap(([key]) => {
        const text = literalOf(variables.get(key));
        return text === undefined ? [] : [[key, text] as const];
      }),
    );
    for (const command of result.commands) {
      const at = starts.findLastIndex((start) => start <= command.line);
      const line = lines[at];
      if (line === undefined) continue;
      const text = this.#config.textOf(line.node.place.file);
      const place = scriptPlace(line.node, text, command.line - (starts[at] ?? 0));
      const common = {
        job: name,
        order: index * 1_000 + command.line,
        place,
        ...(condition !== undefined && { condition }),
      };
      for (const plain of factsOfCommand(command, common, env)) {
        const fact =
          plain.kind === 'test' && combination.size > 0
            ? { ...plain, matrix: combination, services: this.#services(entry, variables) }
            : plain;
        const key = JSON.stringify({ ...fact, order: 0 });
        if (this.#known.has(key)) continue;
        this.#known.add(key);
        this.facts.push(fact);
      }
    }
  }

  #templateFacts(jobs: number): void {
    const scanning = this.#config.templates.find((template) => /container-scanning/i.test(template.name));
    if (scanning === undefined) return;
    const job = this.#config.entry('container_scanning');
    const empty = readYamlDocuments('{}', scanning.place.file).documents[0] as YamlNode;
    const variables = this.#resolved(
      job ?? { node: empty, keyPlace: scanning.place, conditions: [], missing: [] },
      new Map(),
    );
    const threshold = literalOf(variables.get('CS_SEVERITY_THRESHOLD'));
    const image = variables.get('CS_IMAGE');
    this.facts.push({
      kind: 'scan',
      job: this.#id('container_scanning'),
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

/** Whether `inherit` lets a default or a variable of the file reach the job. */
function inherits(entry: GitlabEntry, kind: 'default' | 'variables', name: string): boolean {
  const inherit = entry.node.at('inherit', kind);
  if (inherit === undefined) return true;
  return inherit.kind === 'list' ? inherit.items().some((item) => item.text() === name) : inherit.text() !== 'false';
}

/** The lines of a script: texts, and nested lists (from anchors). */
function scriptLines(node: YamlNode, depth: number): readonly Line[] {
  if (depth > DEEPEST) return [];
  const text = node.text();
  return text !== undefined ? [{ text, node }] : node.items().flatMap((item) => scriptLines(item, depth + 1));
}
