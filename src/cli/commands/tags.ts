import { type Command, Option } from 'commander';
import type { TagView } from '../../engine/images/tags.ts';
import type { Project } from '../../engine/main.ts';
import { isCancelled, toFailure } from '../../engine/problems/index.ts';
import { namesIn } from '../../engine/project/index.ts';
import { wholeNumber } from '../arguments.ts';
import type { CliContext } from '../context.ts';

/** What is in the registries: the tags of an image, or the newest of each. */
export function addTagsCommand(program: Command, context: () => CliContext): void {
  program
    .command('tags')
    .description(
      'The tags of an image of this project, or of any repository, newest first, with digest, platforms and commit.',
    )
    .argument(
      '[image]',
      'name of an image in slipway.yaml, or a repository such as ghcr.io/acme/api; default: the newest of each image',
    )
    .option('-n, --limit <number>', 'how many (default: 20 of an image, 1 of each)', wholeNumber)
    .addOption(new Option('--count <number>', 'the same as --limit').argParser(wholeNumber).hideHelp())
    .option('--all', 'every tag, with the dates of all of them')
    .action(async (image: string | undefined, flags: TagFlags) => {
      const cli = context();
      const count = flags.all === true ? Number.POSITIVE_INFINITY : (flags.limit ?? flags.count);
      const { listTags } = await import('../../engine/images/tags.ts');
      const project = await cli.engine.project();
      if (image === undefined) {
        await newestOfEach(cli, project.images, count ?? 1);
        return;
      }
      const repository = project.images.find(({ name }) => name === image)?.repository ?? image;
      let cut: string | undefined;
      const tags = await listTags(cli.system, repository, {
        most: count ?? 20,
        signal: cli.signal,
        isWanted: tagsOf(project.images, image),
        onCut: (looked, all) => {
          cut = `The newest of the ${looked} tags that are highest by name; ${all - looked} others were not looked at (--all does).`;
        },
      });
      for (const tag of tags) cli.print(cli.isJson ? JSON.stringify(tag) : tagLine(tag));
      if (tags.length === 0 && !cli.isJson) cli.print(`${repository} has no tags.`);
      if (cut !== undefined && !cli.isJson) cli.print(cut);
    });
}

const tagLine = (tag: TagView): string =>
  `${tag.tag.padEnd(28)}  ${(tag.created ?? 'unknown').slice(0, 19)}  ${tag.digest.slice(0, 19)}  ${tag.platforms.join(',')}${tag.revision === undefined ? '' : `  commit ${tag.revision.slice(0, 7)}`}${tag.isSigned ? '  signed' : ''}${tag.sboms.length === 0 ? '' : `  sbom (${tag.sboms.join(', ')})`}`;

interface TagFlags {
  readonly limit?: number;
  readonly count?: number;
  readonly all?: true;
}

/** Of an image that shares its repository with others: the tags with its name in them. */
function tagsOf(images: Project['images'], image: string): (tag: string) => boolean {
  const own = images.find(({ name }) => name === image);
  const twins = images.filter(({ repository }) => repository === own?.repository).map(({ name }) => name);
  return twins.length < 2 ? () => true : (tag) => namesIn(tag, twins).includes(image);
}

/** Tags of each image whose dates are asked for: their names alone do not tell their age. */
const LOOKED_AT = 60;
/** Images whose tags are asked for at a time. */
const AT_ONCE = 4;

/** A line for each image; one whose registry does not answer says so, and the others are still told. */
async function newestOfEach(cli: CliContext, images: Project['images'], count: number): Promise<void> {
  const { listTags } = await import('../../engine/images/tags.ts');
  const width = Math.max(...images.map(({ name }) => name.length), 0);
  for (let start = 0; start < images.length; start += AT_ONCE) {
    const batch = images.slice(start, start + AT_ONCE);
    const found = await Promise.allSettled(
      batch.map(({ name, repository }) =>
        listTags(cli.system, repository, {
          most: count,
          look: LOOKED_AT,
          isWanted: tagsOf(images, name),
          signal: cli.signal,
        }),
      ),
    );
    for (const [index, answer] of found.entries()) {
      const { name = '', repository = '' } = batch[index] ?? {};
      if (answer.status === 'rejected') {
        if (isCancelled(answer.reason)) throw answer.reason;
        const { message, code } = toFailure(answer.reason);
        cli.print(
          cli.isJson ? JSON.stringify({ image: name, repository, code, message }) : `${name.padEnd(width)}  ${message}`,
        );
        if (code !== 'registry.not-found') cli.exitWith(3);
        continue;
      }
      if (answer.value.length === 0 && !cli.isJson) cli.print(`${name.padEnd(width)}  ${repository} has no tags.`);
      for (const tag of answer.value.slice(0, count))
        cli.print(
          cli.isJson ? JSON.stringify({ image: name, repository, ...tag }) : `${name.padEnd(width)}  ${tagLine(tag)}`,
        );
    }
  }
  if (images.length === 0 && !cli.isJson) cli.print('This project has no images.');
}
