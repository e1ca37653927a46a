import { basename, dirname } from 'node:path';
import * as vscode from 'vscode';
import type { EngineLoader } from '../run/engineLoader.ts';
import type { Root, Workspace } from '../workspace.ts';

type Language = Awaited<ReturnType<Awaited<ReturnType<EngineLoader['module']>>['configLanguage']>>;
type Candidates = Awaited<ReturnType<Language['gatherCandidates']>>;
export type EngineSystem = Parameters<Language['gatherCandidates']>[0];

const PATTERN = '**/slipway.{yaml,yml}';

/** A proposal that is not saved yet is one of these too. */
export const configSelector: vscode.DocumentSelector = [
  { pattern: PATTERN, scheme: 'file' },
  { pattern: PATTERN, scheme: 'untitled' },
];

export const dockerfileSelector: vscode.DocumentSelector = [
  { language: 'dockerfile', scheme: 'file' },
  { pattern: '**/{Dockerfile,Containerfile,*.Dockerfile,Dockerfile.*}', scheme: 'file' },
];

/** Candidates older than this are gathered again, for changes that no watcher told. */
const KEEP_MS = 30_000;

/** The open slipway.yaml files: their folder, the language part of the engine, and what values they may name. */
export class ConfigDocuments {
  readonly system: EngineSystem;
  readonly #workspace: Workspace;
  readonly #loader: EngineLoader;
  readonly #candidates = new Map<string, { readonly at: number; readonly found: Promise<Candidates> }>();

  constructor(workspace: Workspace, loader: EngineLoader, system: EngineSystem) {
    this.#workspace = workspace;
    this.#loader = loader;
    this.system = system;
  }

  isConfig(document: vscode.TextDocument): boolean {
    return ['file', 'untitled'].includes(document.uri.scheme) && /^slipway\.ya?ml$/.test(basename(document.uri.fsPath));
  }

  /** The folder that its paths start from. */
  rootOf = (document: vscode.TextDocument): string => dirname(document.uri.fsPath);

  /** The workspace folder whose runs it starts; undefined for a file deeper down. */
  workspaceRoot(document: vscode.TextDocument): Root | undefined {
    return this.#workspace.roots.find(({ path }) => path === this.rootOf(document));
  }

  async language(): Promise<Language> {
    return (await this.#loader.module()).configLanguage();
  }

  /** Files only. The kubeconfig lies outside of the workspace, so Restricted Mode leaves it alone. */
  async candidates(document: vscode.TextDocument): Promise<Candidates> {
    const root = this.rootOf(document);
    const known = this.#candidates.get(root);
    if (known !== undefined && Date.now() - known.at < KEEP_MS) return known.found;
    const language = await this.language();
    const found = language.gatherCandidates(this.system, root, vscode.workspace.isTrusted ? 'read' : 'leave');
    this.#candidates.set(root, { at: Date.now(), found });
    found.catch(() => this.#candidates.delete(root));
    return found;
  }

  forget(): void {
    this.#candidates.clear();
  }
}

/**
 * True where the Red Hat extension checks the same file by the schema that this extension contributes: then what the
 * schema knows is left to it, and nothing is told twice.
 */
export function schemaIsServed(document: vscode.TextDocument): boolean {
  if (vscode.extensions.getExtension('redhat.vscode-yaml') === undefined || document.languageId !== 'yaml')
    return false;
  return vscode.workspace.getConfiguration('yaml', document).get<boolean>('validate', true);
}

interface Span {
  readonly start: { readonly line: number; readonly character: number };
  readonly end: { readonly line: number; readonly character: number };
}

export const toRange = ({ start, end }: Span): vscode.Range =>
  new vscode.Range(start.line, start.character, end.line, end.character);
