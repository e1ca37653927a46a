// What a CI workflow file builds, tags, scans and deploys, and its mistakes: reading only, pure.
export { readGithubWorkflow, type WorkflowOptions } from './github.ts';
export { type GitlabOptions, readGitlabPipeline } from './gitlab.ts';
export { type JobRule, judgeRule, type RuleVariables } from './gitlabRules.ts';
export { lintWorkflow } from './lint.ts';
export { type MetadataContext, type MetadataTags, metadataTags, readTagRules } from './metadata.ts';
export type {
  BuildFact,
  DeployFact,
  Fact,
  Job,
  MetadataFact,
  ReadLocal,
  ScanFact,
  Step,
  TestFact,
  Workflow,
} from './model.ts';
export { type PublishedImage, publishedImages, type TagTemplates, tagTemplates } from './published.ts';
export { literalOf, splitReference, tagTemplate, textOf, type Value } from './values.ts';
