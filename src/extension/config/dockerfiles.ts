import { normalize } from 'node:path';
import * as vscode from 'vscode';
import type { ImageConfig } from '../../engine/project/model.ts';
import type { Root, Workspace } from '../workspace.ts';
import { imageLenses, type LensRefresh, lensesAreOn } from './lenses.ts';
import { type ImageFacts, imageFacts, imageMarkdown, liveMarkdown } from './runFacts.ts';

const FROM = /^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?/i;

interface Stage {
  readonly name?: string;
  readonly line: number;
}

/** On Dockerfiles of the project: build and scan what the stage makes, and what the last run said of it. */
export class DockerfileInfo implements vscode.CodeLensProvider, vscode.HoverProvider {
  readonly onDidChangeCodeLenses: vscode.Event<void>;
  readonly #workspace: Workspace;

  constructor(workspace: Workspace, refresh: LensRefresh) {
    this.#workspace = workspace;
    this.onDidChangeCodeLenses = refresh.onDidChange;
  }

  async provideCodeLenses(document: vscode.TextDocument): Promise<vscode.CodeLens[]> {
    const root = this.#workspace.rootOf(document.uri);
    if (root === undefined || !lensesAreOn(document)) return [];
    await this.#workspace.show();
    const now = Date.now();
    return imagesOf(root, document).flatMap(({ image, stage }) =>
      imageLenses(root, image.name, document.lineAt(stage.line).range, now),
    );
  }

  async provideHover(document: vscode.TextDocument, position: vscode.Position): Promise<vscode.Hover | undefined> {
    const root = this.#workspace.rootOf(document.uri);
    if (root === undefined || !FROM.test(document.lineAt(position.line).text)) return undefined;
    await this.#workspace.show();
    const views = root.runs.list().map(({ view }) => view);
    const parts = imagesOf(root, document)
      .filter(({ stage }) => stage.line === position.line)
      .flatMap(({ image }) => {
        const facts = imageFacts(views, image.name);
        return facts === undefined
          ? []
          : [new vscode.MarkdownString(`**${image.name}**\n\n${wholeMarkdown(root, image.name, facts)}`)];
      });
    return parts.length === 0 ? undefined : new vscode.Hover(parts, document.lineAt(position.line).range);
  }
}

/** What the last run made of an image, and where it is live. */
export function wholeMarkdown(root: Root, image: string, facts: ImageFacts): string {
  const views = root.runs.list().map(({ view }) => view);
  const environments = (root.project?.environments ?? []).map(({ name }) => name);
  const now = Date.now();
  return [imageMarkdown(facts, now), liveMarkdown(views, image, environments, now)]
    .filter((text) => text !== '')
    .join('\n');
}

/** The images that this file builds, each at the stage it ends with. */
function imagesOf(
  root: Root,
  document: vscode.TextDocument,
): readonly { readonly image: ImageConfig; readonly stage: Stage }[] {
  const stages: Stage[] = [];
  for (let line = 0; line < document.lineCount; line += 1) {
    const match = FROM.exec(document.lineAt(line).text);
    if (match !== null) stages.push({ line, ...(match[2] !== undefined && { name: match[2] }) });
  }
  const last = stages.at(-1);
  if (last === undefined) return [];
  const own = normalize(document.uri.fsPath);
  return (root.project?.images ?? [])
    .filter(({ dockerfile }) => isSameFile(dockerfile, own))
    .map((image) => ({
      image,
      stage:
        stages.find(({ name }) => name !== undefined && name.toLowerCase() === image.target?.toLowerCase()) ?? last,
    }));
}

/** Drive letters come in both cases. */
const isSameFile = (a: string, b: string): boolean =>
  process.platform === 'win32' ? normalize(a).toLowerCase() === b.toLowerCase() : normalize(a) === b;
