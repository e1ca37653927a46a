import type { Place } from '../../problems/index.ts';
import { DEFAULT_MOVING } from '../config.ts';
import type { Config } from '../schema.ts';
import { draftEnvironments } from './draftEnvironments.ts';
import { draftImages } from './draftImages.ts';
import type { Draft, DraftImage, Note } from './draftModel.ts';
import type { Findings, TestFinding } from './findings.ts';
import { asName } from './paths.ts';

/** Findings → configuration. Pure; its result is a valid slipway.yaml. */
export function makeDraft(findings: Findings): Draft {
  const notes: Note[] = [];
  const left: Draft['left'][number][] = [];
  const images = draftImages(findings, notes, left);
  const environments = draftEnvironments(findings, images, notes, left);
  const tags = draftTags(findings, images, notes);
  const test = draftTests(findings, notes);
  left.push(...findings.pipelines.flatMap(({ cut }) => cut));
  const scan = draftScan(findings, notes);
  const config: Config = {
    version: 1,
    name: findings.name,
    ...(images.length > 0 && {
      images: Object.fromEntries(images.map((image) => [image.name, imageConfig(image)])),
    }),
    ...tags,
    ...(test.length > 0 && { test: [...test] }),
    ...(scan !== undefined && { scan }),
    ...(Object.keys(environments).length > 0 && { environments }),
  };
  return { config, notes, left };
}

function imageConfig(image: DraftImage): NonNullable<Config['images']>[string] {
  const { build } = image;
  const platforms = build.platforms.length > 0 && { platforms: [...build.platforms] };
  if (build.bake !== undefined) return { repository: image.repository, bake: { ...build.bake }, ...platforms };
  return {
    context: build.context,
    dockerfile: build.dockerfile,
    ...(build.target !== undefined && { target: build.target }),
    repository: image.repository,
    ...platforms,
    ...(Object.keys(build.args).length > 0 && { args: { ...build.args } }),
    ...((build.cacheFrom.length > 0 || build.cacheTo.length > 0) && {
      cache: {
        ...(build.cacheFrom.length > 0 && { from: [...build.cacheFrom] }),
        ...(build.cacheTo.length > 0 && { to: [...build.cacheTo] }),
      },
    }),
  };
}

/**
 * 0: a version, 1: names one commit, 2: moves to a new digest with a later push. Only what carries a version or a
 * commit stays: a date or a branch comes again.
 */
function rankOf(template: string): 0 | 1 | 2 {
  if (/\{(semver|tag)\}/.test(template)) return 0;
  return /\{(sha(:\d+)?|commits)\}/.test(template) ? 1 : 2;
}

function draftTags(findings: Findings, images: readonly DraftImage[], notes: Note[]): Pick<Config, 'tags' | 'moving'> {
  const seen = new Map<string, Place>();
  for (const image of images) {
    for (const { template, place } of image.tags) if (!seen.has(template)) seen.set(template, place);
  }
  if (seen.size === 0) return {};
  const tags = [...seen.keys()].sort((a, b) => rankOf(a) - rankOf(b));
  const place = seen.values().next().value ?? { file: findings.root };
  notes.push({ path: ['tags'], text: 'the tags that the CI workflow pushes', place, certainty: 'read' });
  const shared = images.filter((image) =>
    images.some((other) => other !== image && other.repository === image.repository),
  );
  const isShared = shared.length > 0;
  if (isShared) {
    // A tag without the name would be that of several images.
    for (const [index, tag] of tags.entries()) if (!tag.includes('{image}')) tags[index] = `{image}-${tag}`;
    tags.splice(0, tags.length, ...new Set(tags));
    notes.push({
      path: ['tags'],
      text: `${shared.map(({ name }) => `"${name}"`).join(' and ')} are in one repository: the tag tells them apart`,
      place,
      certainty: 'read',
    });
  }
  if (!tags.some((tag) => rankOf(tag) === 1)) {
    // A version alone gives nothing to deploy on a branch; a moving tag must not be deployed at all.
    const added = isShared ? '{image}-{branch}-{sha}' : '{branch}-{sha}';
    tags.splice(tags.filter((tag) => rankOf(tag) === 0).length, 0, added);
    notes.push({
      path: ['tags'],
      text: `the workflow has no tag that names one commit for good, so "${added}" was added`,
      place,
      certainty: 'guess',
      fix: 'Deploy tags that never move.',
    });
  }
  const more = tags.filter((tag) => rankOf(tag) === 2 && !(DEFAULT_MOVING as readonly string[]).includes(tag));
  return { tags, ...(more.length > 0 && { moving: [...DEFAULT_MOVING, ...more] }) };
}

function draftScan(findings: Findings, notes: Note[]): Config['scan'] {
  const scan = findings.pipelines.find((pipeline) => pipeline.scan !== undefined)?.scan;
  if (scan === undefined) return undefined;
  const severity = scan.severity?.filter((word): word is 'CRITICAL' | 'HIGH' | 'MEDIUM' | 'LOW' | 'UNKNOWN' =>
    ['CRITICAL', 'HIGH', 'MEDIUM', 'LOW', 'UNKNOWN'].includes(word),
  );
  notes.push({ path: ['scan'], text: 'the scan gate of the CI workflow', place: scan.place, certainty: 'read' });
  return {
    ...(severity !== undefined && severity.length > 0 && { severity }),
    ...(scan.ignoreUnfixed !== undefined && { ignoreUnfixed: scan.ignoreUnfixed }),
  };
}

/** Which way of running tests a command is: CI's line for the same way in the same folder is the better one. */
function family(run: readonly string[]): string {
  const text = run.join(' ');
  if (/pytest|manage\.py|unittest|tox|nox/.test(text)) return 'python';
  if (/^(npm|pnpm|yarn|bun|npx|node)\b/.test(text)) return 'node';
  return run[0]?.replace(/^\.\//, '') ?? '';
}

function draftTests(findings: Findings, notes: Note[]): NonNullable<Config['test']> {
  const fromCi = findings.pipelines.flatMap((pipeline) => pipeline.tests);
  const covered = (test: TestFinding) =>
    fromCi.some(
      (other) =>
        other.folder === test.folder &&
        // What make and its like run is most often the very tests of the language.
        (family(other.run) === family(test.run) || /^(make|task|just)$/.test(other.run[0] ?? '')),
    );
  const chosen = [...fromCi, ...findings.tests.filter((test) => !covered(test))];
  const names = new Set<string>();
  return chosen.map((test, index) => {
    const base = asName(test.name);
    let name = base;
    for (let count = 2; names.has(name); count += 1) name = `${base}-${count}`;
    names.add(name);
    notes.push({ path: ['test', index], text: test.why, place: test.place, certainty: test.certainty });
    for (const service of test.services) {
      notes.push({
        path: ['test', index, 'services', asName(service.name)],
        text: `${service.image} is named there`,
        place: service.place,
        certainty: test.certainty,
      });
    }
    return {
      name,
      run: [...test.run],
      ...(test.folder !== '.' && { cwd: test.folder }),
      ...(Object.keys(test.env).length > 0 && { env: { ...test.env } }),
      ...(test.junit !== undefined && { junit: [...test.junit] }),
      ...(test.services.length > 0 && {
        services: Object.fromEntries(
          test.services.map((service) => [
            asName(service.name),
            {
              image: service.image,
              ...(Object.keys(service.env).length > 0 && { env: { ...service.env } }),
              ...(service.health !== undefined && { health: [...service.health] }),
              ...(service.ports.length > 0 && { ports: [...service.ports] }),
            },
          ]),
        ),
      }),
    };
  });
}
