import { describe, expect, it } from 'vitest';
import type { CiRun } from '../../src/engine/ci/index.ts';
import { commitStories } from '../../src/engine/ciStories.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { signInItem, storyEnvironmentItem, storyImageItem, storyItem } from '../../src/extension/ci/ciItems.ts';
import { workspace } from './workspaces.ts';

const RUN: CiRun = {
  id: '1',
  number: '1',
  title: 'one',
  workflow: 'build',
  event: 'push',
  ref: 'main',
  commit: 'abcdef0123456789abcdef0123456789abcdef01',
  state: 'succeeded',
  detail: 'completed: success',
  createdAt: '2026-11-21T10:00:00Z',
  attempt: 1,
  url: '',
};
const signal = new AbortController().signal;

describe('what became of a commit', () => {
  const project = () =>
    workspace({
      'slipway.yaml':
        'version: 1\nimages:\n  a: { repository: registry.example.com/a }\n  b: { repository: registry.example.com/b }\n',
      Dockerfile: 'FROM scratch\n',
    });
  const system = (asked: string[]) => ({
    ...createSystem({ env: {}, isTrusted: () => true }),
    fetch: (async (url: URL | string) => {
      asked.push(String(url));
      return new Response('{"errors":[{"code":"DENIED","message":"not for you"}]}', { status: 403 });
    }) as typeof fetch,
  });

  it('asks no registry unless it is told to', async () => {
    const asked: string[] = [];
    const [story] = await commitStories(system(asked), project(), [RUN], { registry: 'leave', signal });
    expect(story).toMatchObject({ commit: RUN.commit, images: [], environments: [] });
    expect(asked).toEqual([]);
  });

  it('names each registry that could not be asked, and goes on', async () => {
    const unread: string[] = [];
    const options = { registry: 'ask', signal, onUnread: (message: string) => unread.push(message) } as const;
    const [story] = await commitStories(system([]), project(), [RUN], options);
    expect(story?.images).toEqual([]);
    expect(unread).toHaveLength(2);
    expect(unread.join()).toContain('registry.example.com');
  });
});

describe('its rows', () => {
  const now = Date.parse('2026-11-21T10:05:00Z');
  it('say in words where an image is from, and whether an environment still has it', () => {
    expect(storyItem(RUN).spoken).toBe('Images and environments of commit abcdef0');
    const digest = `sha256:${'1'.repeat(64)}`;
    const image = storyImageItem({ image: 'a', reference: 'r/a:1', digest, from: 'registry' });
    expect([image.description, image.spoken]).toEqual([
      'r/a:1 · sha256:111111111111 · in the registry',
      'Image a, r/a:1, in the registry',
    ]);
    const environment = { name: 'dev', journalRun: 'x', at: RUN.createdAt, state: 'ready', isNewest: true };
    expect(storyEnvironmentItem(environment, now).spoken).toBe('Environment dev, ready, 5 min ago, the newest deploy');
    expect(storyEnvironmentItem({ ...environment, isNewest: false }, now).description).toContain('replaced since');
    expect(signInItem('git.example.com').spoken).toBe('Sign In to git.example.com');
  });
});
