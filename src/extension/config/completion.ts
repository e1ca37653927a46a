import * as vscode from 'vscode';
import { type ConfigDocuments, schemaIsServed, toRange } from './documents.ts';

const KINDS = {
  key: vscode.CompletionItemKind.Property,
  word: vscode.CompletionItemKind.EnumMember,
  name: vscode.CompletionItemKind.Reference,
  file: vscode.CompletionItemKind.File,
  template: vscode.CompletionItemKind.Constant,
} as const;

/** Keys and values of slipway.yaml: what the format has and what the workspace has. */
export class ConfigCompletion implements vscode.CompletionItemProvider {
  readonly #documents: ConfigDocuments;

  constructor(documents: ConfigDocuments) {
    this.#documents = documents;
  }

  async provideCompletionItems(
    document: vscode.TextDocument,
    position: vscode.Position,
    token: vscode.CancellationToken,
  ): Promise<vscode.CompletionItem[]> {
    const [language, candidates] = await Promise.all([
      this.#documents.language(),
      this.#documents.candidates(document),
    ]);
    if (token.isCancellationRequested) return [];
    const isServed = schemaIsServed(document);
    return language
      .complete(document.getText(), position, candidates)
      .filter(({ from }) => from === 'workspace' || !isServed)
      .map((found, index) => {
        const item = new vscode.CompletionItem(
          { label: found.label, ...(found.detail !== undefined && { description: found.detail }) },
          KINDS[found.kind],
        );
        item.insertText = new vscode.SnippetString(found.snippet);
        item.range = toRange(found.replace);
        item.filterText = found.label;
        item.sortText = String(index).padStart(4, '0');
        if (found.documentation !== undefined) item.documentation = found.documentation;
        if (found.goesOn) item.command = { command: 'editor.action.triggerSuggest', title: vscode.l10n.t('Suggest') };
        return item;
      });
  }
}
