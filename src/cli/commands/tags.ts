import type { Command } from 'commander';
import type { TagView } from '../../engine/images/tags.ts';
import type { Project } from '../../engine/main.ts';
import { isCancelled, toFailure } from '../../engine/problems/index.ts';
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
    .option('-n, --count <number>', 'how many (default: 20 of an image, 1 of each)', wholeNumber)
    .action(async (image: string | undefined, { count }: { readonly count?: number }) => {
      const cli = context();
      const { listTags } = await import('../../engine/images/tags.ts');
      const project = await cli.engine.project();
      if (image === undefined) {
        await newestOfEach(cli, project.images, count ?? 1);
        return;
      }
      const repository = project.images.find(({ name }) => name === image)?.repository ?? image;
      const tags = await listTags(cli.system, repository, { most: count ?? 20, signal: cli.signal });
      for (const tag of tags) cli.print(cli.isJson ? JSON.stringify(tag) : tagLine(tag));
      if (tags.length === 0 && !cli.isJson) cli.print(`${repository} has no tags.`);
    });
}

const tagLine = (tag: TagView): string =>
  `${tag.tag.padEnd(28)}  ${(tag.created ?? 'unknown').slice(0, 19)}  ${tag.digest.slice(0, 19)}  ${tag.platforms.join(',')}${tag.revision === undefined ? '' : `  commit ${tag.revision.slice(0, 7)}`}${tag.isSigned ? '  signed' : ''}${tag.sboms.length === 0 ? '' : `  sbom (${tag.sboms.join(', ')})`}`;

/** Tags of each image that are looked at for the newest: their names alone do not tell their age. */
const LOOKED_AT = 8;
/** Images whose tags are asked for at a time. */
const AT_ONCE = 4;

/** A line for each image; one whose registry does not answer says so, and the others are still told. */
async function newestOfEach(cli: CliContext, images: Project['images'], count: number): Promise<void> {
  const { listTags } = await import('../../engine/images/tags.ts');
  const width = Math.max(...images.map(({ name }) => name.length), 0);
  for (let start = 0; start < images.length; start += AT_ONCE) {
    const batch = images.slice(start, start + AT_ONCE);
    const found = await Promise.allSettled(
      batch.map(({ repository }) =>
        listTags(cli.system, repository, { most: Math.max(count, LOOKED_AT), signal: cli.signal }),
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
