import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/unit/**/*.test.ts', 'src/**/*.test.ts'],
    pool: 'threads',
    testTimeout: 20_000,
  },
});
