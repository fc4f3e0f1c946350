// One script, one style sheet and the page itself: the server gives them under /page/, and nothing comes from elsewhere.

import { defineConfig } from "vite";

export default defineConfig({
  base: "/page/",
  build: {
    outDir: "../read_api/page",
    emptyOutDir: true,
    assetsDir: "",
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    license: { fileName: "licenses.md" },
    reportCompressedSize: false,
    rolldownOptions: {
      // the names stay: the server asks about each file anew, so the page and the API are always of one version
      output: { entryFileNames: "app.js", chunkFileNames: "[name].js", assetFileNames: "app[extname]" },
    },
  },
});
