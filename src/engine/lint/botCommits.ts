/** The commits that image bots make in this repository: which files, on which branch, with which message. */
import {
  type ApplicationObject,
  type AutomationObject,
  type BotCommit,
  CompiledPolicy,
  chooseTag,
  type UpdaterImage,
  updaterOf,
  writtenFile,
} from '../gitops/index.ts';
import type { Place } from '../problems/index.ts';
import type { WorkspaceFiles } from './workspaceFiles.ts';

export interface KnownBot {
  readonly commit: BotCommit;
  /** Where the bot is told what to do. */
  readonly place: Place;
  /** Whether it would write a tag of a repository. */
  readonly follows: (repository: string, tag: string) => 'yes' | 'no';
  /** It also writes when the same tag moves to another digest. */
  readonly followsDigests: (repository: string) => boolean;
  readonly automation?: AutomationObject;
}

export const FLUX_MESSAGE = 'Update from image update automation';

export function botCommits(files: WorkspaceFiles): readonly KnownBot[] {
  return [...fluxBots(files), ...updaterBots(files)];
}

function fluxBots({ index, findings }: WorkspaceFiles): readonly KnownBot[] {
  return index.objectsOf('ImageUpdateAutomation').flatMap((automation): readonly KnownBot[] => {
    if (automation.suspended) return [];
    const repository = index
      .objectsOf('GitRepository')
      .find(
        ({ name, namespace }) =>
          name === automation.repository?.name &&
          (namespace ?? '') === (automation.repository.namespace ?? namespace ?? ''),
      );
    if (isElsewhere(repository?.url, findings.remoteUrl)) return [];
    const written = index.filesWithMarkers.filter((file) =>
      index.linked(file).some(({ automations }) => automations.some((one) => one === automation)),
    );
    if (written.length === 0) return [];
    const policies = index
      .objectsOf('ImagePolicy')
      .filter((policy) => index.automationsFor(policy).includes(automation));
    const ofRepository = (image: string) => policies.filter((policy) => index.repositoryOf(policy)?.image === image);
    const name = `${automation.namespace === undefined ? '' : `${automation.namespace}/`}${automation.name}`;
    return [
      {
        commit: {
          bot: `the automation ${name}`,
          branch:
            automation.pushRefspec !== undefined
              ? undefined
              : (automation.pushBranch ?? automation.checkoutBranch ?? repository?.branch),
          files: written,
          message: automation.messageTemplate ?? FLUX_MESSAGE,
          pushOptions: automation.pushOptions,
          credentials: 'key-or-token',
        },
        place: automation.place,
        automation,
        follows: (image, tag) =>
          ofRepository(image).some((policy) => {
            const compiled = index.compiledOf(policy);
            return compiled instanceof CompiledPolicy && compiled.judge(tag).status === 'candidate';
          })
            ? 'yes'
            : 'no',
        followsDigests: (image) => ofRepository(image).some(({ digestReflection }) => digestReflection === 'Always'),
      },
    ];
  });
}

/** A repository that is known to be another one than this workspace's. */
function isElsewhere(url: string | undefined, remote: string | undefined): boolean {
  if (url === undefined || remote === undefined) return false;
  return repositoryPath(url) !== repositoryPath(remote);
}

/** `owner/name`: the host may be known by another name inside the cluster. */
const repositoryPath = (url: string): string =>
  url
    .replace(/^[a-z+]+:\/\/[^/]+\//i, '')
    .replace(/^[^@]+@[^:]+:/, '')
    .replace(/\/+$/, '')
    .replace(/\.git$/, '')
    .toLowerCase();

function updaterBots({ index, findings, defaultBranch }: WorkspaceFiles): readonly KnownBot[] {
  const updaters = index.objectsOf('ImageUpdater');
  return index.objectsOf('Application').flatMap((app): readonly KnownBot[] => {
    const found = updaterOf(app, updaters);
    if (found === undefined || !found.writeBack.method.startsWith('git')) return [];
    const { images, writeBack, updater } = found;
    if (isElsewhere(writeBack.repository ?? app.repoUrl, findings.remoteUrl)) return [];
    return [
      {
        commit: {
          bot: `Image Updater for ${app.name}`,
          branch: writeBranch(writeBack.branch, app, defaultBranch),
          files: [writtenFile(app, writeBack.target)],
          message: `build: automatic update of ${app.name}`,
          credentials: 'key-or-token',
        },
        place: updater?.place ?? app.place,
        follows: (repository, tag) => (images.some((image) => follows(image, repository, tag)) ? 'yes' : 'no'),
        followsDigests: (repository) =>
          images.some(({ image, strategy }) => image === repository && strategy === 'digest'),
      },
    ];
  });
}

function follows(image: UpdaterImage, repository: string, tag: string): boolean {
  if (image.image !== repository) return false;
  return chooseTag(image, [{ tag, created: 1 }]).tag === tag;
}

/** `base:write`, `:write` or `base`; undefined for a template, and where the default branch is not known. */
function writeBranch(
  branch: string | undefined,
  app: ApplicationObject,
  defaultBranch: string | undefined,
): string | undefined {
  const [base = '', write] = (branch ?? '').split(':');
  const wanted = write ?? base;
  if (wanted.includes('{{')) return undefined;
  if (wanted !== '') return wanted;
  const target = app.targetRevision;
  return target === undefined || target === 'HEAD' ? defaultBranch : target;
}
