// The recipes of docs/EMBEDDING.md: a small site is built with each generator, as the document says, and opened in the browser.
// `cargo xtask test` installs the generators; where one is not there, its test is skipped and says so.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, extname, join, resolve } from "node:path";
import { build as bundle } from "esbuild";
import { expect, test } from "./page.mjs";

const PYTHON = resolve(process.env.KUBARIUM_PYTHON ?? "target/xtask/python");
const KUBARIUM = process.env.KUBARIUM ?? "kubarium";
const DOCUSAURUS = resolve("tests/sites/docusaurus");
const DOCUMENT = readFileSync("docs/EMBEDDING.md", "utf8");
const LAB = '<kube-lab scene="pod-to-service"></kube-lab>';

/** The code of a recipe in the document, block by block, for a page at `base`. */
function recipe(name, base) {
  const text = DOCUMENT.split(`- **${name}**`)[1].split(/\n(?:- \*\*|## )/)[0];
  const blocks = [...text.matchAll(/```\w+\n([\s\S]*?)```/g)];
  return blocks.map(([, code]) => code.replace(/^ {2}/gm, "").replaceAll("https://YOUR.SITE/kubarium/", base));
}

const python = (module, ...rest) => ["python3", "-m", module, ...rest];

// Each: how it says that it is there, the files of the site, and how it is built into the folder `out`.
const RECIPES = [
  {
    name: "MkDocs",
    there: python("mkdocs", "--version"),
    files: (base) => ({
      "mkdocs.yml": `site_name: Site\nplugins: []\n${recipe("MkDocs", base)[0]}`,
      "docs/index.md": `# A page\n\n${LAB}\n`,
    }),
    build: python("mkdocs", "build", "--quiet", "--site-dir", "out"),
  },
  {
    name: "Sphinx",
    there: python("sphinx", "--version"),
    files: (base) => {
      const [configuration, page] = recipe("Sphinx", base);
      return { "conf.py": `project = "Site"\n${configuration}`, "index.rst": `A page\n======\n\n${page}` };
    },
    build: python("sphinx", "-q", "-b", "html", ".", "out"),
  },
  {
    name: "Hugo",
    there: python("hugo", "version"),
    files: (base) => ({
      "hugo.toml": 'title = "Site"\ndisableKinds = ["taxonomy", "term", "rss", "sitemap"]\n',
      "layouts/index.html": "<!doctype html><html lang=en><title>Site</title><body>{{ .Content }}</body></html>",
      "layouts/shortcodes/kube-lab.html": recipe("Hugo", base)[0],
      "content/_index.md": '# A page\n\n{{< kube-lab scene="pod-to-service" />}}\n',
    }),
    build: python("hugo", "--quiet", "--destination", "out"),
  },
  {
    name: "mdBook",
    there: ["mdbook", "--version"],
    files: (base) => {
      const help = execFileSync(KUBARIUM, ["help", "mdbook"], { encoding: "utf8" });
      const lines = help.match(/\[preprocessor\.kubarium\]\n.*\n.*\n/)[0];
      const there = lines.replace(/"kubarium /, `"${KUBARIUM} `).replace("https://YOUR.SITE/kubarium/", base);
      return {
        "book.toml": `[book]\ntitle = "Site"\n[build]\nbuild-dir = "out"\n${there}`,
        "src/SUMMARY.md": "- [A page](index.md)\n",
        "src/index.md": "# A page\n\n```kube-lab scene=pod-to-service\n```\n",
      };
    },
    build: ["mdbook", "build"],
  },
];

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

/** Runs a program of a generator in a folder. */
function run([program, ...words], options) {
  const path = [PYTHON, process.env.PYTHONPATH].filter(Boolean).join(delimiter);
  execFileSync(program, words, { ...options, env: { ...process.env, PYTHONPATH: path } });
}

function has(command) {
  try {
    run(command, { stdio: "ignore" });
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

for (const { name, there, files, build } of RECIPES) {
  test(`a site made with ${name} has a live cluster`, async ({ page, baseURL }) => {
    test.skip(!has(there), `${name} is not installed`);
    // What the generator's own theme asks other servers for is not the recipe's business.
    page.allowErrors();
    const folder = folderWith(files(baseURL));
    run(build, { cwd: folder, stdio: "inherit" });
    await serve(page, join(folder, "out"));
    await page.goto("./site/index.html");
    const frame = page.frameLocator("kube-lab iframe");
    await expect(frame.locator(".lesson h2")).toHaveText("Problem 4: pod to Service");
  });
}

test("a site made with Docusaurus has a live cluster, and another after a click", async ({ page }) => {
  const program = join(DOCUSAURUS, "node_modules/.bin/docusaurus");
  test.skip(!existsSync(program), "Docusaurus is not installed");
  page.allowErrors();
  const out = join(folderWith({}), "out");
  expect(readFileSync(join(DOCUSAURUS, "docusaurus.config.js"), "utf8")).toContain(recipe("Docusaurus", "/")[0].trim());
  execFileSync(program, ["build", "--out-dir", out], { cwd: DOCUSAURUS, stdio: "inherit" });
  await serve(page, out);
  await page.goto("./site/");
  await expect(page.frameLocator("kube-lab iframe").locator(".lesson h2")).toHaveText("Problem 4: pod to Service");
  await page.evaluate(() => addEventListener("kube-applied", (event) => (window.applied = event.detail)));
  await page.getByRole("link", { name: "another page", exact: true }).click();
  await page.waitForFunction(() => window.applied);
  expect(await page.evaluate(() => window.applied)).toEqual({ output: "configmap/from-site created\n", status: 0 });
});

test("the package can be bundled with a page's own scripts", async ({ page, baseURL }) => {
  const script = `import { KubeLab } from "kube-lab"; KubeLab.base = new URL(${JSON.stringify(baseURL)});`;
  const alias = { "kube-lab": resolve("web/embed") };
  const built = await bundle({ stdin: { contents: script, resolveDir: "." }, alias, bundle: true, format: "esm", write: false });
  const html = `<!doctype html><html lang="en"><title>Site</title><body>${LAB}<script type="module" src="app.js"></script>`;
  await serve(page, folderWith({ "index.html": html, "app.js": built.outputFiles[0].text }));
  await page.goto("./site/");
  await expect(page.frameLocator("kube-lab iframe").locator(".lesson h2")).toHaveText("Problem 4: pod to Service");
});
