import * as vscode from 'vscode';
import type { Item } from './pipelineItems.ts';

/** A row of any of our trees from its words. */
export function toTreeItem(item: Item, id: string, state: vscode.TreeItemCollapsibleState): vscode.TreeItem {
  const row = new vscode.TreeItem(item.label, state);
  row.id = id;
  row.description = item.description;
  row.iconPath = new vscode.ThemeIcon(
    item.icon,
    item.color === undefined ? undefined : new vscode.ThemeColor(item.color),
  );
  row.tooltip = new vscode.MarkdownString(item.tooltip.join('\n\n'));
  row.contextValue = item.contextValue;
  row.accessibilityInformation = { label: item.spoken, role: 'treeitem' };
  return row;
}
