import { dirname } from 'node:path';
import * as vscode from 'vscode';
import type { System } from '../../engine/system/index.ts';
import { Emitter, Owner } from '../events.ts';
import type { EngineLoader } from '../run/engineLoader.ts';
import { lensTitle } from '../words.ts';

type Editor = Awaited<ReturnType<Awaited<ReturnType<EngineLoader['module']>>['loadWorkflowEditor']>>;
type Check = Awaited<ReturnType<Editor['checkWorkflows']>>;
type Answer = Check['answers'][number];
export type Question = NonNullable<Parameters<Editor['checkWorkflows']>[2]>;

/** Saving, committing and pushing come in bursts. */
const QUIET_MS = 400;
/** More files than this are not read out to anybody. */
const MOST_NAMED = 8;

export const workflowSelector: vscode.DocumentSelector = [
  { pattern: '**/.github/workflows/*.{yml,yaml}', scheme: 'file' },
  { pattern: '**/.{gitea,forgejo}/workflows/**/*.{yml,yaml}', scheme: 'file' },
  { pattern: '**/.gitlab-ci.yml', scheme: 'file' },
];

/** The folder that a workflow's paths start from; undefined for any other file. */
export function rootOfWorkflow(path: string): string | undefined {
  const found = /^(.*)[\\/]\.(?:github|gitea|forgejo)[\\/]workflows[\\/].+\.ya?ml$/.exec(path)?.[1];
  return found ?? (/[\\/]\.gitlab-ci\.yml$/.test(path) ? dirname(path) : undefined);
}

/**
 * Above what starts a workflow: whether a push from here would, and why not; with every job of a GitLab pipeline on hover.
 * Asked when a workflow is looked at, and again when files, commits or the remote change.
 */
export class PushAnswers extends Owner implements vscode.CodeLensProvider, vscode.HoverProvider {
  readonly #system: System;
  readonly #loader: EngineLoader;
  readonly #log: vscode.LogOutputChannel;
  readonly #changed = this.own(new Emitter<void>());
  readonly onDidChangeCodeLenses = this.#changed.event;
  readonly #known = new Map<string, Promise<{ readonly question: Question; readonly check: Check } | undefined>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: {
    readonly system: System;
    readonly loader: EngineLoader;
    readonly log: vscode.LogOutputChannel;
  }) {
    super();
    this.#system = parts.system;
    this.#loader = parts.loader;
    this.#log = parts.log;
    this.own(vscode.languages.registerCodeLensProvider(workflowSelector, this));
    this.own(vscode.languages.registerHoverProvider(workflowSelector, this));
    this.own(vscode.workspace.onDidSaveTextDocument(() => this.#forget()));
    this.own(vscode.workspace.onDidCreateFiles(() => this.#forget()));
    this.own(vscode.workspace.onDidDeleteFiles(() => this.#forget()));
    this.own(vscode.workspace.onDidGrantWorkspaceTrust(() => this.#forget()));
    const watcher = this.own(vscode.workspace.createFileSystemWatcher('**/.git/{HEAD,index,refs/**}'));
    this.own(watcher.onDidChange(() => this.#forget()));
    this.own(watcher.onDidCreate(() => this.#forget()));
    this.own({ dispose: () => clearTimeout(this.#timer) });
  }

  #forget(): void {
    if (this.#known.size === 0) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#known.clear();
      this.#changed.fire();
    }, QUIET_MS);
    this.#timer.unref();
  }

  async provideCodeLenses(document: vscode.TextDocument): Promise<vscode.CodeLens[]> {
    const found = await this.#answer(document);
    if (found === undefined) return [];
    const { answer, question } = found;
    return [
      new vscode.CodeLens(rangeOf(answer, document), {
        title: lensTitle(words(answer, refOf(question))),
        tooltip: vscode.l10n.t('Ask for another branch, tag or files'),
        command: 'slipway.ci.askPush',
        arguments: [{ root: rootOfWorkflow(document.uri.fsPath) }],
      }),
    ];
  }

  async provideHover(document: vscode.TextDocument, position: vscode.Position): Promise<vscode.Hover | undefined> {
    // The key stands alone: a hover of every other word of the file is somebody else's.
    const line = document.lineAt(position.line).text;
    if (!/^(?:on|'on'|"on"|workflow|true)\s*:/.test(line) && !/^\s+(?:push|-\s*push)\b/.test(line)) return undefined;
    const found = await this.#answer(document);
    return found === undefined ? undefined : new vscode.Hover(hoverText(found.answer, found.question));
  }

  /** For the command: the question that a push from here is, and the answers to any question. */
  async ask(root: string, question?: Question): Promise<{ readonly question: Question; readonly check: Check }> {
    const editor = await (await this.#loader.module()).loadWorkflowEditor();
    const asked = question ?? (await editor.pendingPush(this.#system, root)) ?? { files: [], ref: { branch: 'main' } };
    return { question: asked, check: await editor.checkWorkflows(this.#system, root, asked) };
  }

  async #answer(
    document: vscode.TextDocument,
  ): Promise<{ readonly answer: Answer; readonly question: Question } | undefined> {
    const root = rootOfWorkflow(document.uri.fsPath);
    // What changed is asked of git, which may run programs that the repository names.
    if (root === undefined || !vscode.workspace.isTrusted) return undefined;
    const known =
      this.#known.get(root) ??
      this.ask(root).catch((error: unknown) => {
        this.#log.warn(`What a push of ${root} starts: ${error instanceof Error ? error.message : String(error)}`);
        return undefined;
      });
    this.#known.set(root, known);
    const found = await known;
    const answer = found?.check.answers.find(({ place }) => place.file === document.uri.fsPath);
    return found === undefined || answer === undefined ? undefined : { answer, question: found.question };
  }
}

export const refOf = ({ ref }: Question): string => ('branch' in ref ? ref.branch : ref.tag);

/** The lens: one line. */
export function words({ runs, reason }: Pick<Answer, 'runs' | 'reason'>, ref: string): string {
  const plain = reason.replace(/\.$/, '');
  const why = /^Git(Hub|Lab)/.test(plain) ? plain : `${plain.slice(0, 1).toLowerCase()}${plain.slice(1)}`;
  if (runs === 'yes') return vscode.l10n.t('$(play-circle) A push of {0} starts it: {1}', ref, why);
  return runs === 'no'
    ? vscode.l10n.t('$(circle-slash) A push of {0} does not start it: {1}', ref, why)
    : vscode.l10n.t('$(question) Whether a push of {0} starts it is open: {1}', ref, why);
}

function hoverText({ runs, reason, jobs }: Answer, question: Question): vscode.MarkdownString {
  const text = new vscode.MarkdownString();
  // File and job names are the repository's: they are put in as text, never as Markdown.
  text.appendText(words({ runs, reason }, refOf(question)).replace(/^\$\([\w-]+\) /, ''));
  text.appendMarkdown('\n\n');
  const { files } = question;
  const more = files.length > MOST_NAMED ? `, +${files.length - MOST_NAMED}` : '';
  text.appendText(
    files.length === 0
      ? vscode.l10n.t('Nothing has changed against the remote.')
      : vscode.l10n.t('Changed against the remote: {0}', `${files.slice(0, MOST_NAMED).join(', ')}${more}`),
  );
  for (const job of jobs ?? []) {
    text.appendMarkdown('\n- ');
    text.appendText(`${job.name}: ${job.runs}. ${job.reason}`);
  }
  return text;
}

function rangeOf({ place }: Answer, document: vscode.TextDocument): vscode.Range {
  const line = Math.min(place.range?.start.line ?? 0, document.lineCount - 1);
  return new vscode.Range(line, 0, line, 0);
}
