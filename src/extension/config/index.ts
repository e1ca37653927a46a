import * as vscode from 'vscode';
import { Owner } from '../events.ts';
import type { EngineLoader } from '../run/engineLoader.ts';
import type { Workspace } from '../workspace.ts';
import { ConfigCompletion } from './completion.ts';
import { ConfigDiagnostics } from './diagnostics.ts';
import { DockerfileInfo } from './dockerfiles.ts';
import { ConfigDocuments, configSelector, dockerfileSelector, type EngineSystem } from './documents.ts';
import { ConfigHover } from './hover.ts';
import { ConfigLenses, LensRefresh } from './lenses.ts';
import { ConfigDefinitions, ConfigSymbols } from './navigation.ts';

export interface ConfigParts {
  readonly workspace: Workspace;
  readonly loader: EngineLoader;
  readonly system: EngineSystem;
  readonly log: vscode.LogOutputChannel;
}

/** slipway.yaml and the project's Dockerfiles in the editor. Nothing is loaded before such a file is open. */
export function registerConfig({ workspace, loader, system, log }: ConfigParts): Owner {
  const owner = new Owner();
  const { languages } = vscode;
  const documents = new ConfigDocuments(workspace, loader, system);
  const refresh = owner.own(new LensRefresh(workspace));
  const dockerfiles = new DockerfileInfo(workspace, refresh);
  owner.own(new ConfigDiagnostics(documents, workspace, log));
  owner.own(
    workspace.onDidChange(({ kind }) => {
      if (kind === 'project') documents.forget();
    }),
  );
  owner.own(
    languages.registerCompletionItemProvider(
      configSelector,
      new ConfigCompletion(documents),
      ' ',
      '"',
      "'",
      '[',
      '{',
      ':',
    ),
  );
  owner.own(languages.registerHoverProvider(configSelector, new ConfigHover(documents)));
  owner.own(languages.registerCodeLensProvider(configSelector, new ConfigLenses(documents, workspace, refresh)));
  owner.own(languages.registerDefinitionProvider(configSelector, new ConfigDefinitions(documents)));
  owner.own(
    languages.registerDocumentSymbolProvider(configSelector, new ConfigSymbols(documents), { label: 'Slipway' }),
  );
  owner.own(languages.registerCodeLensProvider(dockerfileSelector, dockerfiles));
  owner.own(languages.registerHoverProvider(dockerfileSelector, dockerfiles));
  return owner;
}
