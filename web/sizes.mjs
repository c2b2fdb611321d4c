// Prints the size of every file of the built page: raw, gzip, brotli; fails where a part is larger than it may be.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

// The parts in the order in which they are loaded, each with the most bytes it may have, gzip.
const PARTS = [
  // The page, its styles, scripts and module: what a person sees first, and works with while the rest comes.
  { name: "first view", most: 400_000, has: () => true },
  // Loaded right after it, into a thread of its own. Lower this with every saving, never raise it without saying why.
  { name: "simulator, loaded after the first view", most: 2_780_000, has: (file) => /^kubarium-worker|\/worker\.js$/.test(file) },
  { name: "later views, loaded when the cluster is up or one is opened", most: 380_000, has: (file) => /^page-[^/]+\/((split|chunk)_|lessons.txt|later.css)/.test(file) },
  { name: "what works without a connection, loaded when all is quiet", most: 3_000, has: (file) => file === "sw.js" },
  { name: "other languages, each loaded when it is chosen", most: 8_000, has: (file) => file === "de.txt" },
  { name: "examples, each loaded when it is opened", most: 10_000, has: (file) => file.startsWith("examples/") },
  { name: "lessons, each loaded when it is opened", most: 60_000, has: (file) => /^(scenes|exercises)\//.test(file) },
  { name: "script for pages that embed it", most: 6_000, has: (file) => file.startsWith("embed/") },
  { name: "editor, loaded when it is to be seen", most: 135_000, has: (file) => file.endsWith("/editor.js") },
  { name: "what saves pictures, loaded when one is saved", most: 3_000, has: (file) => file.endsWith("/picture.js") },
];

const dist = process.argv[2];
const files = readdirSync(dist, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name))
  .sort();

const number = (n) => n.toLocaleString("en").padStart(11);
const line = (name, sizes) => console.log(sizes.map(number).join("") + "  " + name);
const total = new Map(PARTS.map((part) => [part, [0, 0, 0]]));

console.log("        raw       gzip     brotli");
for (const file of files) {
  const bytes = readFileSync(file);
  const name = file.slice(dist.length + 1);
  const sizes = [
    bytes.length,
    gzipSync(bytes, { level: 9 }).length,
    brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }).length,
  ];
  const part = PARTS.findLast((part) => part.has(name));
  sizes.forEach((size, i) => (total.get(part)[i] += size));
  line(name, sizes);
}
for (const [part, sizes] of total) line(`${part.name} (at most ${part.most.toLocaleString("en")} gzip)`, sizes);

// What the API's kinds and fields add to the simulator, which has them compiled in.
const SCHEMA_MOST = 60_000;
const schema = readFileSync(new URL("../crates/objects/src/schema/builtin.txt", import.meta.url));
const schemaSizes = [schema.length, gzipSync(schema, { level: 9 }).length, brotliCompressSync(schema).length];
line(`schema, within the simulator (at most ${SCHEMA_MOST.toLocaleString("en")} gzip)`, schemaSizes);

const over = PARTS.filter((part) => total.get(part)[1] > part.most);
if (schemaSizes[1] > SCHEMA_MOST) over.push({ name: "schema" });
for (const part of over) console.error(`The ${part.name} is larger than it may be.`);
process.exit(over.length ? 1 : 0);
