import * as vscode from 'vscode';
import { wholeMarkdown } from './dockerfiles.ts';
import { type ConfigDocuments, schemaIsServed, toRange } from './documents.ts';
import { environmentMarkdown, imageFacts } from './runFacts.ts';

/** What a key means, and behind the names of images and environments what the last runs made of them. */
export class ConfigHover implements vscode.HoverProvider {
  readonly #documents: ConfigDocuments;

  constructor(documents: ConfigDocuments) {
    this.#documents = documents;
  }

  async provideHover(document: vscode.TextDocument, position: vscode.Position): Promise<vscode.Hover | undefined> {
    const language = await this.#documents.language();
    const spot = language.spotAt(document.getText(), position);
    if (spot === undefined) return undefined;
    const facts = this.#facts(document, spot.path, spot.part);
    const words = schemaIsServed(document) ? undefined : language.describeSpot(spot);
    const parts = [words, facts].filter((part) => part !== undefined).map((text) => new vscode.MarkdownString(text));
    return parts.length === 0 ? undefined : new vscode.Hover(parts, toRange(spot.range));
  }

  #facts(document: vscode.TextDocument, path: readonly (string | number)[], part: 'key' | 'value'): string | undefined {
    const [top, name] = path;
    const root = this.#documents.workspaceRoot(document);
    if (root === undefined || typeof name !== 'string') return undefined;
    const views = root.runs.list().map(({ view }) => view);
    if (top === 'images' && (path.length === 2 ? part === 'key' : path[2] === 'repository')) {
      const facts = imageFacts(views, name);
      return facts === undefined ? vscode.l10n.t('Not built from this folder yet.') : wholeMarkdown(root, name, facts);
    }
    if (top === 'environments' && path.length === 2 && part === 'key') {
      return environmentMarkdown(views, name, Date.now());
    }
    return undefined;
  }
}
