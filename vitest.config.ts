import { defineConfig } from 'vitest/config';

// Tests start real processes and sockets, so the bounds are generous; a test that needs a retry is a defect to be found.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'src/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    retry: 0,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
  },
});
