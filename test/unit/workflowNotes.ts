import { publishedImages, tagTemplates, textOf, type Workflow } from '../../src/engine/workflows/index.ts';

/** The facts of a workflow in short lines: what a person would note down who reads it. */
export function notes(workflow: Workflow): readonly string[] {
  const lines: string[] = [];
  for (const image of publishedImages(workflow)) {
    const { build } = image;
    const { templates, left } = tagTemplates(image);
    lines.push(
      [
        `build ${image.repositories.map(textOf).join(' + ') || '?'}`,
        `in ${textOf(build.context)}${build.dockerfile === undefined ? '' : ` with ${textOf(build.dockerfile)}`}`,
        ...(build.target === undefined ? [] : [`target ${textOf(build.target)}`]),
        ...(build.platforms.length === 0 ? [] : [`for ${build.platforms.map(textOf).join(' ')}`]),
        `tags ${[...templates.map((each) => each.template), ...left.map((each) => `(${each.text})`)].join(' ')}`,
        `pushed ${image.isPushed}`,
      ].join(', '),
    );
  }
  for (const fact of workflow.facts) {
    if (fact.kind === 'scan')
      lines.push(
        `scan ${textOf(fact.image ?? [])} by ${fact.tool}: ${fact.severity.join(' ')}, ${fact.gate}, unfixed ignored ${fact.ignoreUnfixed}`,
      );
    if (fact.kind === 'test') lines.push(`test ${fact.run.join(' ')} in ${fact.folder}`);
    if (fact.kind === 'login') lines.push(`login ${textOf(fact.registry)}`);
    if (fact.kind === 'sign') lines.push(`sign by ${fact.tool}`);
    if (fact.kind === 'commit') lines.push('commit back');
    if (fact.kind === 'deploy') {
      const job = workflow.jobs.find((each) => each.id === fact.job);
      lines.push(
        [
          `deploy ${fact.tool} ${textOf(fact.path ?? [])}`,
          ...(fact.release === undefined ? [] : [`release ${textOf(fact.release)}`]),
          ...(fact.namespace === undefined ? [] : [`namespace ${textOf(fact.namespace)}`]),
          ...fact.values.map((value) => `values ${textOf(value)}`),
          ...fact.set.map(([key, value]) => `${key}=${textOf(value)}`),
          ...fact.images.map((value) => `image ${textOf(value)}`),
          ...(job?.environment === undefined ? [] : [`environment ${textOf(job.environment.name)}`]),
        ].join(', '),
      );
    }
  }
  for (const job of workflow.jobs)
    for (const service of job.services)
      lines.push(`service ${service.name} ${textOf(service.image)} ${JSON.stringify(service.env)}`);
  for (const diagnostic of workflow.diagnostics) lines.push(`${diagnostic.severity} ${diagnostic.code}`);
  return lines;
}
