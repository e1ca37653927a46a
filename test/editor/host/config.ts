import * as assert from 'node:assert/strict';
import { join } from 'node:path';
import * as vscode from 'vscode';
import { succeededRun, writeRun } from '../samples/runs.ts';
import { eventually, type TestCase } from '../suite.ts';

const root = (): string => vscode.workspace.workspaceFolders?.[0]?.uri.fsPath ?? '';
const uriOf = (file: string): vscode.Uri => vscode.Uri.file(join(root(), file));

async function open(file: string): Promise<vscode.TextDocument> {
  const document = await vscode.workspace.openTextDocument(uriOf(file));
  await vscode.window.showTextDocument(document);
  return document;
}

/** The position behind a text of the document. */
function behind(document: vscode.TextDocument, text: string): vscode.Position {
  const at = document.getText().indexOf(text);
  assert.notEqual(at, -1, `${text} is in the document`);
  return document.positionAt(at + text.length);
}

/** Edits in memory, looks, and takes the edit back. */
async function edited(
  document: vscode.TextDocument,
  from: string,
  to: string,
  look: (text: string) => Promise<void>,
): Promise<void> {
  const before = document.getText();
  const edit = new vscode.WorkspaceEdit();
  const at = document.positionAt(before.indexOf(from));
  edit.replace(document.uri, new vscode.Range(at, document.positionAt(before.indexOf(from) + from.length)), to);
  await vscode.workspace.applyEdit(edit);
  try {
    await look(before.replace(from, to));
  } finally {
    const undo = new vscode.WorkspaceEdit();
    undo.replace(document.uri, new vscode.Range(0, 0, document.lineCount, 0), before);
    await vscode.workspace.applyEdit(undo);
    await document.save();
  }
}

const labels = async (document: vscode.TextDocument, position: vscode.Position): Promise<readonly string[]> => {
  const list = await vscode.commands.executeCommand<vscode.CompletionList>(
    'vscode.executeCompletionItemProvider',
    document.uri,
    position,
  );
  return list.items.map(({ label }) => (typeof label === 'string' ? label : label.label));
};

const ours = (uri: vscode.Uri) => vscode.languages.getDiagnostics(uri).filter(({ source }) => source === 'Slipway');

export const configTests: readonly TestCase[] = [
  {
    name: 'slipway.yaml has no mistakes, an outline and lenses on its environments and images',
    run: async () => {
      const document = await open('slipway.yaml');
      const symbols = await vscode.commands.executeCommand<vscode.DocumentSymbol[]>(
        'vscode.executeDocumentSymbolProvider',
        document.uri,
      );
      const images = symbols.find(({ name }) => name === 'images');
      assert.deepEqual(
        images?.children.map(({ name }) => name),
        ['api', 'worker'],
      );
      const lenses = await vscode.commands.executeCommand<vscode.CodeLens[]>(
        'vscode.executeCodeLensProvider',
        document.uri,
        50,
      );
      const titles = lenses.map(({ command }) => command?.title ?? '');
      assert.equal(titles.filter((title) => title.includes('Run')).length, 2);
      assert.equal(titles.filter((title) => title.includes('Build & scan')).length, 2);
      assert.deepEqual(ours(document.uri), []);
    },
  },
  {
    name: 'a misspelt key is a problem whose quick fix writes the word that was meant and nothing else',
    run: async () => {
      const document = await open('slipway.yaml');
      await edited(document, 'platforms: [linux/amd64', 'platfroms: [linux/amd64', async () => {
        const [problem] = await eventually(
          'the problem',
          () => ours(document.uri),
          (found) => found.length > 0,
        );
        assert.match(problem?.message ?? '', /did you mean "platforms"/);
        const actions = await vscode.commands.executeCommand<vscode.CodeAction[]>(
          'vscode.executeCodeActionProvider',
          document.uri,
          problem?.range,
        );
        const fix = actions.find(({ title }) => title === 'Change to "platforms"');
        assert.ok(fix?.edit, actions.map(({ title }) => title).join());
        const before = document.getText();
        await vscode.workspace.applyEdit(fix.edit);
        assert.equal(document.getText(), before.replace('platfroms', 'platforms'));
        await eventually(
          'no problem',
          () => ours(document.uri),
          (found) => found.length === 0,
        );
      });
    },
  },
  {
    name: 'a file that is not there is a problem with the one that was meant',
    run: async () => {
      const document = await open('slipway.yaml');
      await edited(document, 'docker/api.Dockerfile', 'docker/apy.Dockerfile', async () => {
        const [problem] = await eventually(
          'the problem',
          () => ours(document.uri),
          (found) => found.length > 0,
        );
        assert.match(problem?.message ?? '', /Did you mean "docker\/api\.Dockerfile"/);
        assert.equal(document.getText(problem?.range), 'docker/apy.Dockerfile');
      });
    },
  },
  {
    name: 'keys and values complete from the format and the workspace',
    run: async () => {
      const document = await open('slipway.yaml');
      const platforms = await labels(document, behind(document, 'platforms: [linux/amd64, '));
      assert.ok(platforms.includes('linux/arm64'), platforms.join());
      await edited(document, 'tags: [', 'scan:\n  severity: []\ntags: [', async () => {
        const severities = await labels(document, behind(document, 'severity: ['));
        assert.ok(severities.includes('CRITICAL'), severities.join());
      });
      await edited(document, 'dockerfile: docker/api.Dockerfile', 'dockerfile: ', async () => {
        const files = await labels(document, behind(document, 'dockerfile: '));
        assert.ok(files.includes('docker/worker.Dockerfile'), files.join());
      });
    },
  },
  {
    name: 'hovers explain keys, and paths lead to their files',
    run: async () => {
      const document = await open('slipway.yaml');
      const hovers = await vscode.commands.executeCommand<vscode.Hover[]>(
        'vscode.executeHoverProvider',
        document.uri,
        behind(document, 'repositor'),
      );
      const words = hovers.flatMap(({ contents }) => contents.map((part) => (part as vscode.MarkdownString).value));
      assert.match(words.join('\n'), /Registry and name without a tag/);
      const links = await vscode.commands.executeCommand<vscode.LocationLink[]>(
        'vscode.executeDefinitionProvider',
        document.uri,
        behind(document, 'docker/worker.Docker'),
      );
      assert.equal(links[0]?.targetUri.fsPath, uriOf('docker/worker.Dockerfile').fsPath);
    },
  },
  {
    name: 'a Dockerfile has a lens that builds and scans its image',
    run: async () => {
      const document = await open('docker/api.Dockerfile');
      const lenses = await eventually(
        'the lens',
        async () =>
          vscode.commands.executeCommand<vscode.CodeLens[]>('vscode.executeCodeLensProvider', document.uri, 10),
        (found) => found.some(({ command }) => command?.command === 'slipway.run'),
      );
      const lens = lenses.find(({ command }) => command?.command === 'slipway.run');
      assert.match(lens?.command?.title ?? '', /Build & scan api/);
      assert.deepEqual(lens?.command?.arguments, [
        { folder: root(), environment: null, images: ['api'], until: 'scan' },
      ]);
    },
  },
  {
    name: 'language models see the tools and read the project by them',
    run: async () => {
      const names = vscode.lm.tools.map(({ name }) => name).filter((name) => name.startsWith('slipway_'));
      assert.ok(names.includes('slipway_plan') && names.includes('slipway_run'), names.join());
      const result = await vscode.lm.invokeTool('slipway_project', { input: {}, toolInvocationToken: undefined });
      const [part] = result.content;
      const project = JSON.parse((part as vscode.LanguageModelTextPart).value);
      assert.equal(project.name, 'shop');
      assert.deepEqual(
        project.environments.map(({ name }: { readonly name: string }) => name),
        ['dev', 'prod'],
      );
      await assert.rejects(
        async () => vscode.lm.invokeTool('slipway_show_run', { input: {}, toolInvocationToken: undefined }),
        /Nothing was run/,
      );
    },
  },
  {
    name: 'hovers in a Dockerfile and in slipway.yaml say size, findings and what is live',
    run: async () => {
      const before = new Date(Date.now() - 10 * 60_000).toISOString();
      const run = succeededRun(undefined, before, 5);
      const outputs = {
        repository: 'registry.example/shop-api',
        digest: `sha256:${'a'.repeat(64)}`,
        platforms: { 'linux/amd64': 'a', 'linux/arm64': 'b' },
        sizes: { 'linux/amd64': 63_400_000, 'linux/arm64': 61_000_000 },
      };
      const events = run.events.map((event) =>
        event.type === 'step.finished' && event.step === 'build:api' ? { ...event, outputs } : event,
      );
      writeRun(root(), { ...run, events });
      const wordsAt = async (document: vscode.TextDocument, position: vscode.Position) => {
        const hovers = await vscode.commands.executeCommand<vscode.Hover[]>(
          'vscode.executeHoverProvider',
          document.uri,
          position,
        );
        return hovers
          .flatMap(({ contents }) => contents.map((part) => (part as vscode.MarkdownString).value))
          .join('\n');
      };
      const dockerfile = await open('docker/api.Dockerfile');
      const ofStage = await eventually(
        'the hover of the stage',
        () => wordsAt(dockerfile, new vscode.Position(0, 6)),
        (words) => /Last run/.test(words),
      );
      assert.match(ofStage, /`linux\/amd64`: 63 MB compressed, (no findings|\d+ [A-Z]+)/);
      assert.match(ofStage, /Live on `dev`: `main-[0-9a-f]+`, verified (9|10) min ago/);
      const config = await open('slipway.yaml');
      assert.match(await wordsAt(config, behind(config, 'images:\n  ap')), /Live on `dev`/);
      assert.match(await wordsAt(config, behind(config, 'environments:\n  de')), /Live: `main-[0-9a-f]+`/);
    },
  },
];
