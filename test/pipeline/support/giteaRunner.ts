// A runner of Gitea Actions, played over its published protocol (runner.v1 of actions-proto, Connect with JSON). It runs
// the `run` steps of a job on this machine; of actions it knows those that the generated workflow uses.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { globSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { parse } from 'yaml';
import { zipOf } from '../../ci/zip.ts';

interface Task {
  readonly id: string;
  /** base64 of a workflow with one job. */
  readonly workflowPayload: string;
  readonly context: Readonly<Record<string, unknown>>;
  readonly secrets?: Readonly<Record<string, string>>;
  readonly vars?: Readonly<Record<string, string>>;
}

interface Step {
  readonly name?: string;
  readonly if?: string;
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, string | number | boolean>>;
  readonly env?: Readonly<Record<string, string>>;
}

type Result = 'RESULT_SUCCESS' | 'RESULT_FAILURE' | 'RESULT_CANCELLED' | 'RESULT_SKIPPED' | 'RESULT_UNSPECIFIED';

export class GiteaRunner {
  readonly #url: string;
  readonly #env: Readonly<Record<string, string | undefined>>;
  #identity: Readonly<Record<string, string>> = {};
  #version = '0';
  readonly #root = mkdtempSync(join(tmpdir(), 'slipway-runner-'));
  /** The last lines of the jobs, for a failing test. */
  readonly said: string[] = [];
  /** Called with each line before it is sent: a test can hold the job at it. */
  onLine: (line: string) => Promise<void> = async () => {};

  constructor(url: string, env: Readonly<Record<string, string | undefined>>) {
    this.#url = url;
    this.#env = env;
  }

  async register(token: string, labels: readonly string[]): Promise<void> {
    const answer = await this.#call('Register', { name: 'played', token, version: 'v0.0.0-test', labels });
    const { uuid, token: own } = answer.runner as Readonly<Record<string, string>>;
    this.#identity = { 'x-runner-uuid': uuid ?? '', 'x-runner-token': own ?? '' };
    await this.#call('Declare', { version: 'v0.0.0-test', labels });
  }

  /** Takes tasks one after the other until `count` have ended; gives their results. */
  async work(count: number): Promise<readonly Result[]> {
    const results: Result[] = [];
    // Only there to end a hopeless wait: how long the tasks themselves take is their own affair.
    let waitingSince = Date.now();
    while (results.length < count) {
      if (Date.now() - waitingSince > 240_000) throw new Error(`only ${results.length} of ${count} tasks came`);
      // A version that the server never has makes it look for tasks each time.
      const answer = await this.#call('FetchTask', { tasksVersion: this.#version });
      const task = answer.task as Task | undefined;
      if (task === undefined) await new Promise((resolve) => setTimeout(resolve, 100));
      else {
        results.push(await this.#run(task));
        waitingSince = Date.now();
      }
    }
    return results;
  }

  dispose(): void {
    rmSync(this.#root, { recursive: true, force: true });
  }

  async #run(task: Task): Promise<Result> {
    const workflow = parse(Buffer.from(task.workflowPayload, 'base64').toString('utf8')) as {
      readonly env?: Readonly<Record<string, string>>;
      readonly jobs: Readonly<
        Record<
          string,
          { readonly if?: string; readonly env?: Readonly<Record<string, string>>; readonly steps: readonly Step[] }
        >
      >;
    };
    const job = Object.values(workflow.jobs)[0] ?? { steps: [] };
    const folder = join(this.#root, task.id);
    mkdirSync(folder, { recursive: true });
    const startedAt = new Date().toISOString();
    const states: Record<string, unknown>[] = job.steps.map((_step, index) => ({
      id: String(index),
      result: 'RESULT_UNSPECIFIED',
    }));
    const log = new Log((index, rows, noMore) =>
      this.#call('UpdateLog', { taskId: task.id, index: String(index), rows, noMore }),
    );
    const update = (result: Result, stoppedAt?: string) =>
      this.#call('UpdateTask', {
        state: { id: task.id, result, startedAt, ...(stoppedAt !== undefined && { stoppedAt }), steps: states },
        outputs: {},
      });
    // The condition of a job is the runner's to read.
    if (job.if !== undefined && !isTrue(job.if, task, 'RESULT_SUCCESS')) {
      await log.line('The condition of the job is not met.');
      await log.end();
      await update('RESULT_SKIPPED', new Date().toISOString());
      return 'RESULT_SKIPPED';
    }
    await update('RESULT_UNSPECIFIED');
    let result: Result = 'RESULT_SUCCESS';
    const written = join(this.#root, `${task.id}.env`);
    writeFileSync(written, '');
    for (const [index, step] of job.steps.entries()) {
      const at = log.length;
      const begun = new Date().toISOString();
      const evaluate = (text: string) => expand(text, task, { ...workflow.env, ...job.env });
      const isSkipped = step.if === undefined ? result !== 'RESULT_SUCCESS' : !isTrue(step.if, task, result);
      let own: Result = isSkipped ? 'RESULT_SKIPPED' : 'RESULT_SUCCESS';
      if (!isSkipped) {
        states[index] = {
          id: String(index),
          result: 'RESULT_UNSPECIFIED',
          startedAt: begun,
          logIndex: String(at),
          logLength: '0',
        };
        await update('RESULT_UNSPECIFIED');
        const env = Object.fromEntries(
          Object.entries({ ...workflow.env, ...job.env, ...linesOf(written), ...step.env }).map(([key, value]) => [
            key,
            evaluate(String(value)),
          ]),
        );
        const line = async (text: string) => {
          await this.onLine(text);
          if (this.said.push(text) > 200) this.said.shift();
          await log.line(text);
        };
        const code =
          step.run !== undefined
            ? await this.#script(evaluate(step.run), folder, env, task, line)
            : await this.#action(step, folder, task, line);
        own = code === 0 ? 'RESULT_SUCCESS' : 'RESULT_FAILURE';
        // As act writes it.
        const title = step.name ?? step.uses ?? step.run?.split('\n')[0] ?? '';
        await log.line(code === 0 ? `  \u2705  Success - Main ${title}` : `  \u274C  Failure - Main ${title}`);
        if (code !== 0) {
          result = 'RESULT_FAILURE';
          await log.line(`Process completed with exit code ${code}.`);
        }
      }
      states[index] = {
        id: String(index),
        result: own,
        startedAt: begun,
        stoppedAt: new Date().toISOString(),
        logIndex: String(at),
        logLength: String(log.length - at),
      };
      const answer = await update('RESULT_UNSPECIFIED');
      // The server says here that somebody cancelled.
      if ((answer.state as { readonly result?: Result } | undefined)?.result === 'RESULT_CANCELLED')
        result = 'RESULT_CANCELLED';
    }
    await log.end();
    await update(result, new Date().toISOString());
    return result;
  }

  /** Of the actions, checkout is done; the others bring tools that this machine has. */
  async #action(step: Step, folder: string, task: Task, line: (text: string) => Promise<void>): Promise<number> {
    await line(`uses ${step.uses}`);
    if (/\/upload-artifact@/.test(step.uses ?? '')) {
      const [name, path] = [String(step.with?.name ?? 'artifact'), String(step.with?.path ?? '')];
      // A folder means all that is in it.
      const within = (found: string): readonly string[] =>
        statSync(join(folder, found)).isFile()
          ? [found]
          : readdirSync(join(folder, found)).flatMap((name) => within(join(found, name)));
      const patterns = path.trim().split(/\s*\n\s*/);
      const files = patterns.flatMap((pattern) => globSync(pattern, { cwd: folder })).flatMap(within);
      await line(`With the provided path, there will be ${files.length} files uploaded`);
      if (files.length === 0) return 0;
      const root = files.length === 1 ? dirname(files[0] ?? '') : commonFolder(files);
      const zip = files.map((file) => ({
        name: relative(root, file),
        text: readFileSync(join(folder, file), 'utf8'),
      }));
      await this.#upload(task, expand(name, task, {}), zipOf(zip));
      return 0;
    }
    if (!/actions\/checkout@/.test(step.uses ?? '')) return 0;
    const { repository, sha, token } = task.context as Readonly<Record<string, string>>;
    const url = new URL(`${repository}.git`, `${this.#url}/`).href;
    const header = `AUTHORIZATION: basic ${btoa(`runner:${token ?? ''}`)}`;
    const branch = `refs/remotes/origin/${task.context.ref_name}`;
    // As the action does it: the token stands in the clone's configuration while it works, and after it only when told.
    const script = `git init -q . && git remote add origin "${url}" && git config "http.${this.#url}/.extraheader" "${header}"
git fetch -q --tags origin '+refs/heads/*:refs/remotes/origin/*'
if git rev-parse -q --verify "${branch}" > /dev/null; then git checkout -q -B "${task.context.ref_name}" --track "${branch}"; fi
git checkout -q -B "${task.context.ref_name}" ${sha}
${String(step.with?.['persist-credentials'] ?? true) === 'true' ? '' : `git config --unset-all "http.${this.#url}/.extraheader"`}
`;
    return this.#script(script, folder, {}, task, line);
  }

  /** Artifacts of version 4: announced, sent to a signed address, and declared whole. */
  async #upload(task: Task, name: string, zip: Buffer): Promise<void> {
    const { run_id: run, gitea_runtime_token: token } = task.context as Readonly<Record<string, string>>;
    const service = `${this.#url}/twirp/github.actions.results.api.v1.ArtifactService`;
    const ids = { workflow_run_backend_id: run, workflow_job_run_backend_id: task.id, name };
    const call = async (method: string, body: object): Promise<Readonly<Record<string, unknown>>> => {
      const answer = await fetch(`${service}/${method}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body: JSON.stringify(body),
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${method}: ${answer.status} ${text}`);
      return JSON.parse(text) as Readonly<Record<string, unknown>>;
    };
    const made = await call('CreateArtifact', { ...ids, version: 4 });
    const address = String(made.signedUploadUrl ?? made.signed_upload_url);
    const sent = await fetch(`${address}&comp=block`, { method: 'PUT', body: new Uint8Array(zip) });
    if (!sent.ok) throw new Error(`upload: ${sent.status} ${await sent.text()}`);
    const hash = `sha256:${createHash('sha256').update(zip).digest('hex')}`;
    await call('FinalizeArtifact', { ...ids, size: String(zip.length), hash });
  }

  #script(
    script: string,
    folder: string,
    env: Readonly<Record<string, string>>,
    task: Task,
    line: (text: string) => Promise<void>,
  ): Promise<number> {
    const file = join(this.#root, `${task.id}.sh`);
    writeFileSync(file, script);
    const context = task.context as Readonly<Record<string, string>>;
    return new Promise((resolve, reject) => {
      const child = spawn('bash', ['-eo', 'pipefail', file], {
        cwd: folder,
        env: {
          ...this.#env,
          // What a job installs globally stays in the runner's own folder and off the machine.
          npm_config_prefix: join(this.#root, 'npm'),
          PATH: `${join(this.#root, 'npm', 'bin')}:${this.#env.PATH}`,
          CI: 'true',
          GITHUB_ACTIONS: 'true',
          GITEA_ACTIONS: 'true',
          RUNNER_TEMP: this.#root,
          GITHUB_ENV: join(this.#root, `${task.id}.env`),
          GITHUB_REF_NAME: context.ref_name ?? '',
          GITHUB_SHA: context.sha ?? '',
          ...env,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let rest = '';
      let sent = Promise.resolve();
      const take = (bytes: Buffer) => {
        const lines = `${rest}${bytes.toString('utf8')}`.split('\n');
        rest = lines.pop() ?? '';
        for (const text of lines) sent = sent.then(() => line(text));
      };
      child.stdout.on('data', take);
      child.stderr.on('data', take);
      child.on('error', reject);
      child.on('close', (code) => {
        if (rest !== '') sent = sent.then(() => line(rest));
        sent.then(() => resolve(code ?? 1), reject);
      });
    });
  }

  async #call(method: string, body: object): Promise<Readonly<Record<string, unknown>>> {
    const answer = await fetch(`${this.#url}/api/actions/runner.v1.RunnerService/${method}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'connect-protocol-version': '1', ...this.#identity },
      body: JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method}: ${answer.status} ${text}`);
    return JSON.parse(text) as Readonly<Record<string, unknown>>;
  }
}

/** Lines are sent as they come: the log of the job grows while it runs. */
class Log {
  length = 0;
  readonly #send: (index: number, rows: readonly object[], noMore: boolean) => Promise<unknown>;

  constructor(send: (index: number, rows: readonly object[], noMore: boolean) => Promise<unknown>) {
    this.#send = send;
  }

  async line(content: string): Promise<void> {
    await this.#send(this.length, [{ time: new Date().toISOString(), content }], false);
    this.length += 1;
  }

  async end(): Promise<void> {
    // The server takes the end only with a row.
    await this.#send(this.length, [{ time: new Date().toISOString(), content: 'Job ended' }], true);
    this.length += 1;
  }
}

/** `${{ secrets.X }}` and the like; what is not known becomes empty, as in Actions. */
function expand(text: string, task: Task, env: Readonly<Record<string, string>>): string {
  return text.replace(/\$\{\{\s*(.*?)\s*\}\}/g, (_all, expression: string) => {
    const [head = '', ...path] = expression.split('.');
    const roots: Readonly<Record<string, unknown>> = {
      secrets: task.secrets ?? {},
      vars: task.vars ?? {},
      github: task.context,
      gitea: task.context,
      env,
      inputs: (task.context.event as { readonly inputs?: unknown } | undefined)?.inputs ?? {},
    };
    let value: unknown = roots[head];
    for (const key of path) value = (value as Readonly<Record<string, unknown>> | undefined)?.[key];
    return value === undefined || value === null ? '' : String(value);
  });
}

/** What earlier steps wrote into GITHUB_ENV, a line each. */
const linesOf = (file: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line.includes('='))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );

/** The folder that all of them lie in: the action names files in an artifact from there. */
function commonFolder(files: readonly string[]): string {
  const [first = [], ...others] = files.map((file) => dirname(file).split('/'));
  const length = first.findIndex((part, at) => others.some((other) => other[at] !== part));
  return (length === -1 ? first : first.slice(0, length)).join('/') || '.';
}

/** The conditions that generated workflows have: comparisons, `always()`, `!`, `&&`, `||` and parentheses. */
function isTrue(condition: string, task: Task, soFar: Result): boolean {
  const text = condition.replace(/^\s*\$\{\{|\}\}\s*$/g, '');
  const tokens: readonly string[] = text.match(/&&|\|\||[()]|always\(\)|!(?!=)|==|!=|'[^']*'|[\w.]+/g) ?? [];
  let at = 0;
  const value = (): string => {
    const token = tokens[at++] ?? '';
    return token.startsWith("'") ? token.slice(1, -1) : expand(`\${{ ${token} }}`, task, {});
  };
  const one = (): boolean => {
    const token = tokens[at];
    if (token === 'always()' || token === '!' || token === '(') {
      at += 1;
      if (token === 'always()') return true;
      if (token === '!') return !one();
      const inner = any();
      if (tokens[at++] !== ')') throw new Error(`the played runner does not know the condition ${condition}`);
      return inner;
    }
    const left = value();
    const operator = tokens[at++];
    if (operator !== '==' && operator !== '!=')
      throw new Error(`the played runner does not know the condition ${condition}`);
    return (left === value()) === (operator === '==');
  };
  const all = (): boolean => {
    let result = one();
    while (tokens[at] === '&&') {
      at += 1;
      result = one() && result;
    }
    return result;
  };
  function any(): boolean {
    let result = all();
    while (tokens[at] === '||') {
      at += 1;
      result = all() || result;
    }
    return result;
  }
  const result = any();
  // A condition without a word on the state of the job holds only while it goes well.
  return result && (tokens.includes('always()') || soFar === 'RESULT_SUCCESS');
}
