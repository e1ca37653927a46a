import type { Part } from './part.ts';

export const imagesPart: Part = {
  name: 'images',
  what: '',
  version: '',
  group: 'core',
  needs: ['docker', 'registry'],
  isPrepared: () => true,
  prepare: async () => {},
};
