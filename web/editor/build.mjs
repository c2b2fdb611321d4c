// Bundles the editor into one module. Trunk calls this and says where its files are being gathered.
import { build } from "esbuild";
import { fileURLToPath } from "node:url";
import { dirname, join } from "node:path";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.env.TRUNK_STAGING_DIR ?? process.env.TRUNK_DIST_DIR ?? join(here, "..", "..", "dist");

await build({
  entryPoints: [join(here, "editor.js")],
  outfile: join(out, "editor.js"),
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "eof",
  logLevel: "warning",
});
