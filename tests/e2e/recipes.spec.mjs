// The recipes of docs/EMBEDDING.md: a small site is built with each generator that is installed (on the PATH, or named in a
// variable), and opened in the browser. Where a generator is not installed, its test is skipped and says so.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, extname, join } from "node:path";
import { expect, test } from "./page.mjs";

const SCRIPT = "/embed/kube-lab.js";
const LAB = '<kube-lab scene="pod-to-service"></kube-lab>';
const MANIFEST = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: from-site\n";

// Each: the program, the files of the site, and how it is built into the folder `out`.
const RECIPES = [
  {
    name: "MkDocs",
    program: process.env.MKDOCS ?? "mkdocs",
    files: {
      "mkdocs.yml": `site_name: Site\nplugins: []\nextra_javascript: [{path: "${SCRIPT}", type: module}]\n`,
      "docs/index.md": `# A page\n\n${LAB}\n`,
    },
    build: ["build", "--quiet", "--site-dir", "out"],
  },
  {
    name: "Sphinx",
    program: process.env.SPHINX_BUILD ?? "sphinx-build",
    files: {
      "conf.py": `project = "Site"\nhtml_js_files = [("${SCRIPT}", {"type": "module"})]\n`,
      "index.rst": `A page\n======\n\n.. raw:: html\n\n   ${LAB}\n`,
    },
    build: ["-q", "-b", "html", ".", "out"],
  },
  {
    name: "Hugo",
    program: process.env.HUGO ?? "hugo",
    files: {
      "config.toml": 'title = "Site"\ndisableKinds = ["taxonomy", "term", "RSS", "sitemap"]\n',
      "layouts/index.html": "<!doctype html><html lang=en><title>Site</title><body>{{ .Content }}</body></html>",
      "layouts/shortcodes/kube-lab.html": `{{ if not (.Page.Scratch.Get "kube-lab") }}{{ .Page.Scratch.Set "kube-lab" true }}
<script type="module" src="${SCRIPT}"></script>{{ end }}
<kube-lab {{ with .Get "scene" }}scene="{{ . }}"{{ end }}><pre>{{ .Inner }}</pre></kube-lab>\n`,
      "content/_index.md": '# A page\n\n{{< kube-lab scene="pod-to-service" />}}\n',
    },
    build: ["--quiet", "--destination", "out"],
  },
  {
    name: "mdBook",
    program: process.env.MDBOOK ?? "mdbook",
    // The preprocessor names the page's address, which only the test knows.
    files: (base) => ({
      "book.toml": `[book]\ntitle = "Site"\n[build]\nbuild-dir = "out"\n[preprocessor.kubarium]\ncommand = "${process.env.KUBARIUM ?? "kubarium"} mdbook"\nsrc = "${base}"\n`,
      "src/SUMMARY.md": "- [A page](index.md)\n",
      "src/index.md": "# A page\n\n```kube-lab scene=pod-to-service\n```\n",
    }),
    build: ["build"],
  },
];

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

function has(program) {
  try {
    execFileSync(program, [program.endsWith("hugo") ? "version" : "--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Writes files into a new folder; gives the folder. */
function folderWith(files) {
  const folder = mkdtempSync(join(tmpdir(), "kubarium-site-"));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

/** Serves a folder as `site/` of the server with the page. */
async function serve(page, folder) {
  await page.route("**/site/**", (route) => {
    const path = new URL(route.request().url()).pathname.split("/site/")[1];
    const file = path === "" || path.endsWith("/") ? `${path}index.html` : path;
    try {
      route.fulfill({ body: readFileSync(join(folder, file)), contentType: TYPES[extname(file)] ?? "application/octet-stream" });
    } catch {
      route.fulfill({ status: 404, body: "" });
    }
  });
}

for (const { name, program, files, build } of RECIPES) {
  test(`a site made with ${name} has a live cluster`, async ({ page, baseURL }) => {
    test.skip(!has(program), `${program} is not installed`);
    // What the generator's own theme asks other servers for is not the recipe's business.
    page.allowErrors();
    const folder = folderWith(typeof files === "function" ? files(baseURL) : files);
    execFileSync(program, build, { cwd: folder, stdio: "inherit" });
    await serve(page, join(folder, "out"));
    await page.goto("./site/index.html");
    const frame = page.frameLocator("kube-lab iframe");
    await expect(frame.locator(".lesson h2")).toHaveText("Problem 4: pod to Service");
  });
}

// Docusaurus renders MDX on the server and again in the browser: the tag as React leaves it, put in after the page has come.
test("a tag that a framework puts in later works, as in Docusaurus", async ({ page }) => {
  const html = `<!doctype html><html lang="en"><title>Site</title><script type="module" src="${SCRIPT}"></script><div id="root"></div></html>`;
  await serve(page, folderWith({ "index.html": html }));
  await page.goto("./site/");
  const applied = await page.evaluate(async (manifest) => {
    const lab = document.createElement("kube-lab");
    lab.textContent = manifest;
    const heard = new Promise((resolve) => addEventListener("kube-applied", (event) => resolve(event.detail)));
    document.getElementById("root").append(lab);
    return heard;
  }, MANIFEST);
  expect(applied).toEqual({ output: "configmap/from-site created\n", status: 0 });
});
