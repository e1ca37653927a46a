import { basename, dirname } from 'node:path';
import * as vscode from 'vscode';
import type { EngineLoader } from '../run/engineLoader.ts';
import type { Root, Workspace } from '../workspace.ts';
import { virtualFiles } from './virtualFiles.ts';

type Language = Awaited<ReturnType<Awaited<ReturnType<EngineLoader['module']>>['configLanguage']>>;
type Candidates = Awaited<ReturnType<Language['gatherCandidates']>>;
export type EngineSystem = Parameters<Language['gatherCandidates']>[0];

const PATTERN = '**/slipway.{yaml,yml}';

/** On a disk, not saved yet, or in a workspace that has no disk. Not: documents that other views make of a file. */
export const configSelector: vscode.DocumentSelector = [
  { pattern: PATTERN, scheme: 'file' },
  { pattern: PATTERN, scheme: 'untitled' },
  ...virtualSchemes().map((scheme) => ({ pattern: PATTERN, scheme })),
];

export const dockerfileSelector: vscode.DocumentSelector = [
  { language: 'dockerfile', scheme: 'file' },
  { pattern: '**/{Dockerfile,Containerfile,*.Dockerfile,Dockerfile.*}', scheme: 'file' },
];

/** Of the folders that are no files: they are known when the extension starts. */
function virtualSchemes(): readonly string[] {
  const schemes = (vscode.workspace.workspaceFolders ?? []).map(({ uri }) => uri.scheme);
  return [...new Set(schemes)].filter((scheme) => scheme !== 'file');
}

/** Candidates older than this are gathered again, for changes that no watcher told. */
const KEEP_MS = 30_000;

/** The open slipway.yaml files: their folder, the language part of the engine, and what values they may name. */
export class ConfigDocuments {
  readonly #system: EngineSystem;
  readonly #workspace: Workspace;
  readonly #loader: EngineLoader;
  readonly #candidates = new Map<string, { readonly at: number; readonly found: Promise<Candidates> }>();

  constructor(workspace: Workspace, loader: EngineLoader, system: EngineSystem) {
    this.#workspace = workspace;
    this.#loader = loader;
    this.#system = system;
  }

  isConfig(document: vscode.TextDocument): boolean {
    return (
      ['file', 'untitled', ...virtualSchemes()].includes(document.uri.scheme) &&
      /^slipway\.ya?ml$/.test(basename(document.uri.fsPath))
    );
  }

  /** What reads the files around a document: those on the disk, or those of its own file system. */
  systemOf({ uri }: vscode.TextDocument): EngineSystem {
    return virtualSchemes().includes(uri.scheme) ? { ...this.#system, files: virtualFiles(uri) } : this.#system;
  }

  /** The folder that its paths start from. */
  rootOf = (document: vscode.TextDocument): string => dirname(document.uri.fsPath);

  /** The workspace folder whose runs it starts; undefined for a file deeper down. */
  workspaceRoot(document: vscode.TextDocument): Root | undefined {
    if (virtualSchemes().includes(document.uri.scheme)) return undefined;
    return this.#workspace.roots.find(({ path }) => path === this.rootOf(document));
  }

  async language(): Promise<Language> {
    return (await this.#loader.module()).configLanguage();
  }

  /** Files only. The kubeconfig lies outside of the workspace, so Restricted Mode leaves it alone. */
  async candidates(document: vscode.TextDocument): Promise<Candidates> {
    const root = this.rootOf(document);
    const key = document.uri.with({ path: root }).toString();
    const known = this.#candidates.get(key);
    if (known !== undefined && Date.now() - known.at < KEEP_MS) return known.found;
    const language = await this.language();
    const found = language.gatherCandidates(
      this.systemOf(document),
      root,
      vscode.workspace.isTrusted ? 'read' : 'leave',
    );
    this.#candidates.set(key, { at: Date.now(), found });
    found.catch(() => this.#candidates.delete(key));
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
