import { describe, expect, it } from 'vitest';
import { type MetadataContext, metadataTags } from '../../src/engine/workflows/index.ts';

const SHA = '860c1904a1ce19322e91ac35af1ab07466440c37';
const base = { sha: SHA, defaultBranch: 'main', now: Date.UTC(2026, 10, 21, 4, 5, 6) };
const on: Readonly<Record<string, MetadataContext>> = {
  main: { ...base, ref: 'refs/heads/main', event: 'push' },
  feature: { ...base, ref: 'refs/heads/feat/a+b', event: 'push' },
  tag: { ...base, ref: 'refs/tags/v1.2.3', event: 'push' },
  pre: { ...base, ref: 'refs/tags/v2.0.0-rc.1', event: 'push' },
  odd: { ...base, ref: 'refs/tags/release/7', event: 'push' },
  pep: { ...base, ref: 'refs/tags/1.2.3rc2', event: 'push' },
  pull: { ...base, ref: 'refs/pull/2/merge', event: 'pull_request', baseRef: 'main' },
  schedule: { ...base, ref: 'refs/heads/main', event: 'schedule' },
  dispatch: { ...base, ref: 'refs/heads/main', event: 'workflow_dispatch' },
};

describe('metadata-action tags', () => {
  it.each<[string, keyof typeof on, string[], string?]>([
    ['', 'main', ['main']],
    ['', 'feature', ['feat-a-b']],
    ['', 'tag', ['v1.2.3', 'latest']],
    ['', 'pull', ['pr-2']],
    ['', 'schedule', ['nightly', 'main']],
    ['', 'dispatch', ['main']],
    ["type=schedule,pattern={{date 'YYYYMMDD'}}", 'schedule', ['20261121']],
    ['type=semver,pattern={{version}}', 'tag', ['1.2.3', 'latest']],
    ['type=semver,pattern={{version}}', 'main', []],
    ['type=semver,pattern=v{{major}}', 'tag', ['v1', 'latest']],
    ['type=semver,pattern={{raw}}', 'tag', ['v1.2.3', 'latest']],
    [
      'type=semver,pattern={{version}}\ntype=semver,pattern={{major}}.{{minor}}\ntype=semver,pattern={{major}}',
      'tag',
      ['1.2.3', '1.2', '1', 'latest'],
    ],
    ['type=semver,pattern={{version}}\ntype=semver,pattern={{major}}.{{minor}}', 'pre', ['2.0.0-rc.1']],
    ['type=semver,pattern={{raw}}', 'pre', ['v2.0.0-rc.1']],
    ['type=semver,pattern={{version}}', 'odd', []],
    ['type=semver,pattern={{version}},value=v3.4.5', 'main', ['3.4.5', 'latest']],
    ['type=semver,pattern={{version}},match=release-(.*),value=release-1.0.0', 'main', ['1.0.0', 'latest']],
    ['type=pep440,pattern={{version}}', 'pep', ['1.2.3rc2']],
    ['type=pep440,pattern={{major}}.{{minor}},value=v1.2.3', 'main', ['1.2', 'latest']],
    ['type=match,pattern=v(\\d+),group=1', 'tag', ['1', 'latest']],
    ['type=match,pattern=/V(\\d.\\d)/i,group=1', 'tag', ['1.2', 'latest']],
    ['type=match,pattern=x(\\d)', 'tag', []],
    ['type=edge', 'main', ['edge']],
    ['type=edge', 'feature', []],
    ['type=edge,branch=feat/a+b', 'feature', ['edge']],
    ['type=ref,event=branch,suffix=-{{sha}}', 'main', ['main-860c190']],
    ['type=ref,event=tag', 'odd', ['release-7', 'latest']],
    ['type=ref,event=pr,prefix=', 'pull', ['2']],
    ['type=sha', 'main', ['sha-860c190']],
    ['type=sha,format=long,prefix=', 'main', [SHA]],
    ['type=raw,value=stable', 'main', ['stable']],
    ['plain', 'main', ['plain']],
    ['type=raw,value=latest,enable={{is_default_branch}}', 'main', ['latest']],
    ['type=raw,value=latest,enable={{is_default_branch}}', 'feature', []],
    ['type=raw,value=latest,enable={{is_default_branch}}', 'tag', []],
    ['type=raw,value=x,enable={{is_not_default_branch}}', 'feature', ['x']],
    ['type=raw,value={{branch}}-{{sha}}', 'feature', ['feat-a-b-860c190']],
    ['type=raw,value={{tag}}', 'tag', ['v1.2.3']],
    ['type=raw,value={{tag}}', 'main', []],
    ['type=raw,value={{base_ref}}', 'pull', ['main']],
    ["type=raw,value={{date 'YYYYMMDD-HHmmss' tz='UTC'}}", 'main', ['20261121-040506']],
    // The one of the highest priority comes first, in whatever order they are written.
    ['type=sha\ntype=raw,value=r\ntype=ref,event=branch\ntype=edge', 'main', ['edge', 'main', 'r', 'sha-860c190']],
    ['type=sha,priority=2000\ntype=ref,event=branch', 'main', ['sha-860c190', 'main']],
    ['type=ref,event=branch\ntype=raw,value=main', 'main', ['main']],
    // The first that gives a tag decides about latest.
    ['type=sha,priority=950\ntype=semver,pattern={{version}}', 'tag', ['sha-860c190', '1.2.3']],
    ['type=ref,event=branch', 'main', ['main', 'latest'], 'latest=true'],
    ['type=ref,event=tag', 'tag', ['v1.2.3'], 'latest=false'],
    ['type=ref,event=tag', 'tag', ['v1.2.3-alpine', 'latest'], 'suffix=-alpine'],
    ['type=ref,event=tag', 'tag', ['v1.2.3-alpine', 'latest-alpine'], 'suffix=-alpine,onlatest=true'],
    ['type=ref,event=tag\ntype=sha', 'tag', ['x-v1.2.3', 'sha-860c190', 'x-latest'], 'prefix=x-,onlatest=true'],
    ['# comment\n\ntype=raw,"value=a,b"', 'main', ['a-b']],
  ])('%j on %s', (tags, event, expected, flavor = '') => {
    const context = on[event];
    if (context === undefined) throw new Error(event);
    expect(metadataTags({ images: 'a/b', tags, flavor }, context).tags).toEqual(expected);
  });

  it('names images in lower case and leaves out those switched off', () => {
    const images = 'ghcr.io/Acme/App\nname=docker.io/Acme/App,enable=true\nname=x,enable=false\n';
    const context = on.main;
    expect(context && metadataTags({ images, tags: 'type=raw,value=1', flavor: '' }, context).references).toEqual([
      'ghcr.io/acme/app:1',
      'docker.io/acme/app:1',
    ]);
  });

  it.each(['type=unknown', 'type=semver', 'type=ref,event=push', 'type=raw', 'type=match'])(
    'names the mistake in %s',
    (tags) => {
      const context = on.main;
      expect(context && metadataTags({ images: '', tags, flavor: '' }, context).notes[0]).toMatch(/Unknown|lacks/);
    },
  );
});
