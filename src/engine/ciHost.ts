// What the editor needs of CI hosts, in one piece that is loaded when somebody opens the view.
export * from './ci/index.ts';
export { commitStories } from './ciStories.ts';
export { Secrets } from './events/secrets.ts';
