import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// The server sends `default-src 'self'; style-src 'self'`: nothing may be inlined, so assets are always files.
export default defineConfig({
  plugins: [svelte()],
  build: {
    outDir: 'static',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    target: ['chrome111', 'firefox115', 'safari16.4'],
    manifest: 'manifest.json',
  },
  server: {
    host: '127.0.0.1',
    proxy: { '/api': 'http://127.0.0.1:8080', '/ws': { target: 'ws://127.0.0.1:8080', ws: true } },
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
