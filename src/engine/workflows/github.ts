import { posix } from 'node:path';
import type { Diagnostic, Place } from '../problems/index.ts';
import { readYamlDocuments, type YamlNode } from '../yaml/index.ts';
import { factsOfCall } from './calledWorkflow.ts';
import { factsOfCommand } from './commands.ts';
import { resolveExpression, resolveText, type Scope } from './expressions.ts';
import { factsOfAction } from './githubActions.ts';
import { hostVariables, mergedFacts } from './githubFacts.ts';
import { callDefaults, readJobFrame, readPermissions, readTriggers, readUse } from './githubFrame.ts';
import type {
  ActionUse,
  Fact,
  Job,
  JobService,
  MetadataFact,
  Permissions,
  ReadLocal,
  Step,
  Workflow,
} from './model.ts';
import { scriptPlace } from './places.ts';
import { readScript } from './shell.ts';
import { literal, literalOf, unknown, type Value } from './values.ts';

export interface WorkflowOptions {
  readonly host?: 'github' | 'gitea';
  /** `owner/name` of the repository, when known. */
  readonly repository?: string;
  readonly readLocal?: ReadLocal;
}

/** Deeper nests of local actions and workflows are not followed. */
const DEEPEST = 4;

/** Reads a GitHub or Gitea Actions workflow. Never throws; what cannot be read is a diagnostic. */
export function readGithubWorkflow(text: string, file: string, options: WorkflowOptions = {}): Workflow {
  const { documents, diagnostics } = readYamlDocuments(text, file);
  const root = documents[0];
  const base = {
    host: options.host ?? 'github',
    file,
    name: root?.string('name') ?? posix.basename(file.replaceAll('\\', '/')),
    place: { file },
  };
  if (root === undefined) return { ...base, triggers: [], jobs: [], facts: [], diagnostics };
  const reader = new Reader(options, [...diagnostics]);
  reader.workflow({ root, text, inputs: callDefaults(root, 'by itself'), depth: 0, prefix: '' });
  return {
    ...base,
    triggers: readTriggers(root),
    jobs: reader.jobs,
    facts: mergedFacts(reader.facts),
    diagnostics: reader.diagnostics,
  };
}

interface Source {
  readonly root: YamlNode;
  readonly text: string;
  readonly inputs: ReadonlyMap<string, Value>;
  readonly depth: number;
  /** Before job names, for jobs of a called workflow. */
  readonly prefix: string;
  readonly permissions?: Permissions;
}

interface JobState {
  readonly job: string;
  readonly text: string;
  readonly env: Map<string, Value>;
  readonly matrix: ReadonlyMap<string, unknown>;
  readonly inputs: ReadonlyMap<string, Value>;
  readonly outputs: Map<string, ReadonlyMap<string, Value>>;
  readonly folder: string;
  readonly services: readonly JobService[];
  readonly steps: Step[];
  readonly depth: number;
}

class Reader {
  readonly jobs: Job[] = [];
  readonly facts: Fact[] = [];
  readonly diagnostics: Diagnostic[];
  readonly #options: WorkflowOptions;
  readonly #metadata = new Map<string, MetadataFact>();
  /** Outputs of finished jobs, for `needs`. */
  readonly #jobOutputs = new Map<string, ReadonlyMap<string, Value>>();
  #order = 0;

  constructor(options: WorkflowOptions, diagnostics: Diagnostic[]) {
    this.#options = options;
    this.diagnostics = diagnostics;
  }

  workflow(source: Source): void {
    const jobs = source.root.get('jobs')?.entries() ?? [];
    const permissions = readPermissions(source.root, source.text) ?? source.permissions;
    const env = new Map<string, Value>();
    const scope = this.#scope({ env, matrix: new Map(), inputs: source.inputs, outputs: new Map() }, source.prefix);
    for (const { key, value } of source.root.get('env')?.entries() ?? [])
      env.set(key, resolveText(value.text() ?? '', scope));
    const done = new Set<string>();
    const visit = (id: string, depth: number): void => {
      const entry = jobs.find(({ key }) => key === id);
      if (entry === undefined || done.has(id) || depth > jobs.length) return;
      done.add(id);
      for (const need of entry.value.strings('needs')) visit(need, depth + 1);
      this.#job(
        entry.key,
        entry.keyPlace,
        entry.value,
        { ...source, ...(permissions !== undefined && { permissions }) },
        env,
      );
    };
    for (const { key } of jobs) visit(key, 0);
  }

  #job(id: string, place: Place, node: YamlNode, source: Source, workflowEnv: ReadonlyMap<string, Value>): void {
    const frame = readJobFrame(id, place, node, source.text, source.permissions);
    const name = `${source.prefix}${id}`;
    const called = node.string('uses');
    const steps: Step[] = [];
    const outputs = new Map<string, Value>();
    const firstOrder = this.#order;
    for (const matrix of frame.matrix) {
      // The same step in another combination is the same step.
      this.#order = firstOrder;
      const state: JobState = {
        job: name,
        text: source.text,
        env: new Map(workflowEnv),
        matrix,
        inputs: source.inputs,
        outputs: new Map(),
        folder: '.',
        services: [],
        steps: [],
        depth: source.depth,
      };
      const scope = this.#scope(state, source.prefix);
      const services = servicesIn(frame.services, scope);
      if (called !== undefined) {
        this.#called(called, node, source, scope, name);
        continue;
      }
      for (const { key, value } of node.get('env')?.entries() ?? [])
        state.env.set(key, resolveText(value.text() ?? '', scope));
      const folder =
        node.at('defaults', 'run', 'working-directory')?.text() ??
        source.root.at('defaults', 'run', 'working-directory')?.text();
      this.#steps(node.get('steps')?.items() ?? [], { ...state, folder: folder ?? '.', services }, source.prefix);
      if (steps.length === 0) steps.push(...state.steps);
      for (const { key, value } of node.get('outputs')?.entries() ?? [])
        outputs.set(key, resolveText(value.text() ?? '', scope));
    }
    this.#jobOutputs.set(name, outputs);
    const environment = node.get('environment');
    const environmentName = environment?.text() ?? environment?.string('name');
    const first = this.#scope(
      { env: workflowEnv, matrix: frame.matrix[0] ?? new Map(), inputs: source.inputs, outputs: new Map() },
      source.prefix,
    );
    this.jobs.push({
      ...frame,
      id: name,
      services: servicesIn(frame.services, first),
      needs: frame.needs.map((need) => `${source.prefix}${need}`),
      steps,
      ...(environment !== undefined &&
        environmentName !== undefined && {
          environment: { name: resolveText(environmentName, first), place: environment.place },
        }),
    });
  }

  /** Absolute path of another file of the repository, seen from a workflow's own path. */
  #localFile(from: string, path: string): string {
    const root = from.replaceAll('\\', '/').replace(/\/?\.(github|gitea|forgejo)\/.*$/, '');
    return root === from.replaceAll('\\', '/') ? path : `${root}/${path}`;
  }

  /** A reusable workflow: local ones are followed, remote ones are named. */
  #called(uses: string, node: YamlNode, source: Source, scope: Scope, job: string): void {
    const place = node.get('uses')?.place ?? node.place;
    const path = /^(?:\.\/|\$\/)(.+)$/.exec(uses)?.[1];
    const given = new Map<string, Value>(
      node
        .get('with')
        ?.entries()
        .map(({ key, value }) => [key, resolveText(value.text() ?? '', scope)] as const) ?? [],
    );
    const text = path === undefined ? undefined : this.#options.readLocal?.(path);
    if (path === undefined || text === undefined || source.depth >= DEEPEST) {
      this.diagnostics.push({
        severity: 'info',
        code: 'workflow.unresolved',
        message: `The called workflow ${uses} is not read; what it builds or deploys is not known.`,
        place,
      });
      if (path === undefined) this.facts.push(...factsOfCall(given, { job, order: this.#order, place }));
      return;
    }
    const root = readYamlDocuments(text, this.#localFile(place.file, path)).documents[0];
    if (root === undefined) return;
    const inputs = new Map([...callDefaults(root, 'called'), ...given]);
    this.workflow({
      root,
      text,
      inputs,
      depth: source.depth + 1,
      prefix: `${job} / `,
      ...(source.permissions !== undefined && { permissions: source.permissions }),
    });
  }

  #scope(
    state:
      | Pick<JobState, 'env' | 'matrix' | 'inputs' | 'outputs'>
      | {
          readonly env: ReadonlyMap<string, Value>;
          readonly matrix: ReadonlyMap<string, unknown>;
          readonly inputs: ReadonlyMap<string, Value>;
          readonly outputs: ReadonlyMap<string, ReadonlyMap<string, Value>>;
        },
    prefix: string,
  ): Scope {
    return {
      env: state.env,
      matrix: state.matrix,
      inputs: state.inputs,
      ...(this.#options.repository !== undefined && { repository: this.#options.repository }),
      output: (kind, id, name) =>
        kind === 'steps' ? state.outputs.get(id)?.get(name) : this.#jobOutputs.get(`${prefix}${id}`)?.get(name),
    };
  }

  #steps(nodes: readonly YamlNode[], state: JobState, prefix: string): void {
    for (const node of nodes) {
      const parallel = node.get('parallel');
      if (parallel !== undefined) this.#steps(parallel.items(), state, prefix);
      else this.#step(node, state, prefix);
    }
  }

  #step(node: YamlNode, state: JobState, prefix: string): void {
    this.#order += 1;
    const id = node.string('id');
    const name = node.string('name');
    const condition = node.string('if');
    const script = node.string('run');
    const uses = node.get('uses');
    const use = uses === undefined ? undefined : readUse(uses, state.text);
    state.steps.push({
      place: node.place,
      with: new Map(
        (node.get('with')?.entries() ?? []).map(({ key, value }) => [
          key.toLowerCase(),
          { text: value.text() ?? '', place: value.place },
        ]),
      ),
      ...(id !== undefined && { id }),
      ...(name !== undefined && { name }),
      ...(condition !== undefined && { condition }),
      ...(use !== undefined && { uses: use }),
      ...(script !== undefined && { run: script.trim().split('\n')[0] ?? '' }),
    });
    const env = new Map(state.env);
    const scope = this.#scope({ ...state, env }, prefix);
    for (const { key, value } of node.get('env')?.entries() ?? []) env.set(key, resolveText(value.text() ?? '', scope));
    const common = { job: state.job, order: this.#order, ...(condition !== undefined && { condition }) };
    if (use !== undefined && uses !== undefined) this.#action(use, uses, node, state, scope, common, id, prefix);
    const run = node.get('run');
    if (run !== undefined) this.#run(run, node, state, env, scope, common, id);
  }

  #action(
    use: ActionUse,
    uses: YamlNode,
    node: YamlNode,
    state: JobState,
    scope: Scope,
    common: { readonly job: string; readonly order: number },
    id: string | undefined,
    prefix: string,
  ): void {
    const given = node.get('with');
    const get = (name: string): Value | undefined => {
      const entry = given?.entries().find(({ key }) => key.toLowerCase() === name);
      const text = entry?.value.text();
      return text === undefined ? undefined : resolveText(text, scope);
    };
    const local = /^(?:\.\/|\$\/)(.*)$/.exec(use.text)?.[1];
    if (local !== undefined) {
      this.#composite(local, node, state, scope, id, prefix, uses.place);
      return;
    }
    const facts = factsOfAction(
      use.action,
      { get, node: (name) => given?.get(name) },
      { ...common, place: uses.place },
      id,
      (value) => this.#metadataOf(value),
    );
    for (const plain of facts ?? []) {
      const fact =
        (plain.kind === 'metadata' || plain.kind === 'build') && state.matrix.size > 0
          ? { ...plain, matrix: state.matrix }
          : plain;
      this.facts.push(fact);
      if (fact.kind !== 'metadata' || id === undefined) continue;
      const source = `${state.job} steps.${id}.outputs.tags`;
      this.#metadata.set(source, fact);
      state.outputs.set(
        id,
        new Map(
          ['tags', 'labels', 'json', 'bake-file', 'bake-file-tags', 'tag-names'].map((name) => [name, unknown(source)]),
        ),
      );
    }
  }

  #metadataOf(value: Value): readonly MetadataFact[] {
    return value.flatMap((part) =>
      typeof part === 'object' && 'unknown' in part ? (this.#metadata.get(part.unknown) ?? []) : [],
    );
  }

  /** A local composite action runs its steps here, with its own inputs. */
  #composite(
    path: string,
    node: YamlNode,
    state: JobState,
    scope: Scope,
    id: string | undefined,
    prefix: string,
    place: Place,
  ): void {
    const folder = path.replace(/\/$/, '');
    const read = (name: string) => this.#options.readLocal?.(folder === '' ? name : `${folder}/${name}`);
    const yml = read('action.yml');
    const text = yml ?? read('action.yaml');
    const file = this.#localFile(place.file, posix.join(folder, yml === undefined ? 'action.yaml' : 'action.yml'));
    const root = text === undefined ? undefined : readYamlDocuments(text, file).documents[0];
    if (text === undefined || root === undefined || state.depth >= DEEPEST) {
      this.diagnostics.push({
        severity: 'info',
        code: 'workflow.unresolved',
        message: `The local action ./${path} is not read; what it builds or deploys is not known.`,
        place,
      });
      return;
    }
    const inputs = new Map<string, Value>();
    for (const { key, value } of root.get('inputs')?.entries() ?? [])
      inputs.set(key, literal(value.string('default') ?? ''));
    for (const { key, value } of node.get('with')?.entries() ?? [])
      inputs.set(key, resolveText(value.text() ?? '', scope));
    const inner: JobState = { ...state, text, inputs, outputs: new Map(), steps: [], depth: state.depth + 1 };
    this.#steps(root.at('runs', 'steps')?.items() ?? [], inner, prefix);
    if (id === undefined) return;
    const innerScope = this.#scope(inner, prefix);
    state.outputs.set(
      id,
      new Map(
        (root.get('outputs')?.entries() ?? []).map(({ key, value }) => [
          key,
          resolveText(value.string('value') ?? '', innerScope),
        ]),
      ),
    );
  }

  #run(
    run: YamlNode,
    node: YamlNode,
    state: JobState,
    env: ReadonlyMap<string, Value>,
    scope: Scope,
    common: { readonly job: string; readonly order: number },
    id: string | undefined,
  ): void {
    const script = run.text() ?? '';
    const folder = node.string('working-directory') ?? state.folder;
    const result = readScript(script, new Map([...hostVariables(this.#options.repository), ...env]), (source) =>
      resolveExpression(source, scope),
    );
    for (const [key, value] of result.environment) state.env.set(key, value);
    if (id !== undefined) state.outputs.set(id, result.outputs);
    const literals = literalEntries(env);
    for (const command of result.commands) {
      const here = command.folder === undefined ? undefined : posix.normalize(posix.join(folder, command.folder));
      const fixed = here === undefined || here.startsWith('..') || folder.includes('${{') ? undefined : here;
      const place = scriptPlace(run, state.text, command.line);
      this.facts.push(
        ...factsOfCommand({ ...command, folder: fixed }, { ...common, place }, literals).map((fact) =>
          fact.kind === 'test' && state.matrix.size > 0
            ? { ...fact, matrix: state.matrix, services: state.services }
            : this.#withMetadata(fact),
        ),
      );
    }
  }

  /** `docker build -t ${{ steps.meta.outputs.tags }}`. */
  #withMetadata(fact: Fact): Fact {
    if (fact.kind !== 'build') return fact;
    const metadata = fact.references.flatMap((reference) => this.#metadataOf(reference));
    if (metadata.length === 0) return fact;
    return {
      ...fact,
      metadata,
      references: fact.references.filter((reference) => this.#metadataOf(reference).length === 0),
    };
  }
}

const literalEntries = (env: ReadonlyMap<string, Value>): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [...env].flatMap(([key, value]) => {
      const text = literalOf(value);
      return text === undefined ? [] : [[key, text] as const];
    }),
  );

/** With the images as they are there: `postgres:${{ matrix.postgres }}`. */
const servicesIn = (services: readonly JobService[], scope: Scope): readonly JobService[] =>
  services.map((service) => {
    const text = literalOf(service.image);
    return text === undefined ? service : { ...service, image: resolveText(text, scope) };
  });
