// Prints the size of every file of the built page: raw, gzip, brotli; fails where the first view is larger than it may be.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const GOAL = 400_000; // bytes, gzip: what the page, its styles, scripts and module shall need
const FIRST_VIEW = 1_800_000; // what they may need until then: lower it with every saving, never raise it
const EDITOR = 135_000; // bytes, gzip: loaded when the editor is to be seen

const dist = process.argv[2];
const files = readdirSync(dist, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name))
  .sort();

const total = { first: [0, 0, 0], later: [0, 0, 0] };
const number = (n) => n.toLocaleString("en").padStart(11);
const line = (name, [raw, gzip, brotli]) => console.log(number(raw) + number(gzip) + number(brotli) + "  " + name);

console.log("        raw       gzip     brotli");
for (const file of files) {
  const bytes = readFileSync(file);
  const sizes = [
    bytes.length,
    gzipSync(bytes, { level: 9 }).length,
    brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }).length,
  ];
  const name = file.slice(dist.length + 1);
  const sum = name.startsWith("editor") ? total.later : total.first;
  sizes.forEach((size, i) => (sum[i] += size));
  line(name, sizes);
}
line(`first view (at most ${FIRST_VIEW.toLocaleString("en")} gzip; the goal is ${GOAL.toLocaleString("en")})`, total.first);
line(`editor, loaded later (at most ${EDITOR.toLocaleString("en")} gzip)`, total.later);

if (total.first[1] > FIRST_VIEW || total.later[1] > EDITOR) {
  console.error("The page is larger than it may be.");
  process.exit(1);
}
