import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { commandIds, viewIds } from '../../../src/extension/ids.ts';

interface Manifest {
  readonly activationEvents: readonly string[];
  readonly contributes: {
    readonly commands: readonly { readonly command: string; readonly title: string; readonly category: string }[];
    readonly views: Readonly<Record<string, readonly { readonly id: string }[]>>;
    readonly viewsContainers: { readonly activitybar: readonly { readonly id: string; readonly icon: string }[] };
    readonly menus: Readonly<Record<string, readonly { readonly command: string }[]>>;
    readonly configuration: {
      readonly properties: Readonly<
        Record<string, { readonly default: unknown; readonly markdownDescription?: string }>
      >;
    };
  };
}

const manifest = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as Manifest;
const { contributes } = manifest;

describe('manifest', () => {
  it('declares exactly the commands the code registers', () => {
    expect(contributes.commands.map(({ command }) => command).sort()).toEqual([...commandIds].sort());
  });

  it('has every command in the table of what was used in a window', () => {
    const readme = readFileSync(new URL('../../editor/README.md', import.meta.url), 'utf8');
    const rows = readme.split('\n').flatMap((line) => /^\| ([^|]+) \|/.exec(line)?.[1]?.split(', ') ?? []);
    const missing = contributes.commands.map(({ title }) => title).filter((title) => !rows.includes(title));
    expect(missing).toEqual([]);
  });

  it('puts every command under one category, without repeating it in the title', () => {
    for (const { category, title } of contributes.commands) {
      expect(category).toBe('Slipway');
      expect(title).not.toMatch(/^Slipway/);
    }
  });

  it('has only known commands in its menus', () => {
    const known: readonly string[] = commandIds;
    for (const items of Object.values(contributes.menus))
      for (const { command } of items) expect(known).toContain(command);
  });

  it('declares the views the code fills, in one container', () => {
    const { container, ...views } = viewIds;
    expect(contributes.viewsContainers.activitybar.map(({ id }) => id)).toEqual([container]);
    expect((contributes.views[container] ?? []).map(({ id }) => id)).toEqual(Object.values(views));
  });

  it('activates narrowly', () => {
    for (const event of manifest.activationEvents) {
      expect(event).toMatch(
        /^(workspaceContains:(slipway\.ya?ml$|\*\*\/.*(gotk-|argocd-source|imagepolicy))|onWebviewPanel:slipway\.|onTaskType:slipway)/,
      );
    }
  });

  it('gives every setting a default and words', () => {
    for (const [name, setting] of Object.entries(contributes.configuration.properties)) {
      expect(name).toMatch(/^slipway\./);
      expect(setting.default).toBeDefined();
      expect(setting.markdownDescription).toBeTruthy();
    }
  });
});
