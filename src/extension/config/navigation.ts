import * as vscode from 'vscode';
import type { OutlineItem } from '../../engine/project/language/outline.ts';
import { type ConfigDocuments, toRange } from './documents.ts';

const KINDS: Readonly<Record<OutlineItem['kind'], vscode.SymbolKind>> = {
  section: vscode.SymbolKind.Module,
  image: vscode.SymbolKind.Package,
  environment: vscode.SymbolKind.Namespace,
  test: vscode.SymbolKind.Method,
  command: vscode.SymbolKind.Method,
  check: vscode.SymbolKind.Event,
  service: vscode.SymbolKind.Interface,
  setting: vscode.SymbolKind.Property,
};

/** Paths lead to their files, images to their definitions, stages and values keys to where they stand. */
export class ConfigDefinitions implements vscode.DefinitionProvider {
  readonly #documents: ConfigDocuments;

  constructor(documents: ConfigDocuments) {
    this.#documents = documents;
  }

  async provideDefinition(
    document: vscode.TextDocument,
    position: vscode.Position,
  ): Promise<vscode.LocationLink[] | undefined> {
    const language = await this.#documents.language();
    const place = await language.definitionAt(this.#documents.systemOf(document), document.getText(), position, {
      file: document.uri.fsPath,
      root: this.#documents.rootOf(document),
    });
    if (place === undefined) return undefined;
    return [
      {
        originSelectionRange: toRange(place.from),
        targetUri: place.file === document.uri.fsPath ? document.uri : besides(document.uri, place.file),
        targetRange: place.range === undefined ? new vscode.Range(0, 0, 0, 0) : toRange(place.range),
      },
    ];
  }
}

/** A file of the same file system. */
const besides = (uri: vscode.Uri, file: string): vscode.Uri =>
  ['file', 'untitled'].includes(uri.scheme) ? vscode.Uri.file(file) : uri.with({ path: file.replaceAll('\\', '/') });

/** The outline, the breadcrumbs and `Go to Symbol`. */
export class ConfigSymbols implements vscode.DocumentSymbolProvider {
  readonly #documents: ConfigDocuments;

  constructor(documents: ConfigDocuments) {
    this.#documents = documents;
  }

  async provideDocumentSymbols(document: vscode.TextDocument): Promise<vscode.DocumentSymbol[]> {
    const language = await this.#documents.language();
    return language.outlineOf(document.getText()).map(toSymbol);
  }
}

function toSymbol({ name, detail, kind, range, nameRange, children }: OutlineItem): vscode.DocumentSymbol {
  const symbol = new vscode.DocumentSymbol(name || '-', detail, KINDS[kind], toRange(range), toRange(nameRange));
  symbol.children = children.map(toSymbol);
  return symbol;
}
