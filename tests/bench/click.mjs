// How long it takes from the click on a <kube-lab> to a cluster that answers, and how much is loaded before the click.
// `cargo xtask frames` builds the page, runs this after frames.mjs, and writes what it says into docs/SPEED.md.
import { gzipSync } from "node:zlib";
import { chromium } from "@playwright/test";

const url = process.env.KUBARIUM_URL;
if (!url) throw new Error("KUBARIUM_URL is not set: run `cargo xtask frames`");
const RUNS = 5;
const HOST = `<!doctype html><html lang="en"><title>Host</title><body>
<script type="module" src="${url}embed/kube-lab.js"></script><kube-lab load="click" label="Start"></kube-lab>`;

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || undefined, args: ["--no-sandbox", "--disable-gpu"] });

/** One visit with nothing in the browser's cache: seconds until the cluster answered, and bytes before the click. */
async function visit() {
  const context = await browser.newContext({ serviceWorkers: "block" });
  const page = await context.newPage();
  let before = 0;
  const asked = async (response) => (before += response.url().endsWith("/host.html") ? 0 : gzipSync(await response.body()).length);
  page.on("response", asked);
  await page.route("**/host.html", (route) => route.fulfill({ contentType: "text/html", body: HOST }));
  await page.goto(`${url}host.html`);
  await page.getByRole("button", { name: "Start" }).waitFor();
  await page.waitForLoadState("networkidle");
  page.off("response", asked);
  const seconds = await page.evaluate(async () => {
    const lab = document.querySelector("kube-lab");
    const begun = performance.now();
    lab.shadowRoot.querySelector("button").click();
    await lab.run("kubectl get nodes");
    return (performance.now() - begun) / 1000;
  });
  await context.close();
  return { seconds, before };
}

const visits = [];
for (let n = 0; n < RUNS; n++) visits.push(await visit());
await browser.close();
const seconds = visits.map((visit) => visit.seconds).sort((a, b) => a - b);
const [median, worst] = [seconds[RUNS >> 1], seconds[RUNS - 1]].map((s) => s.toFixed(2));
console.log(`> From the click on a \`<kube-lab>\` to the answer to its first command: ${median} s (median of ${RUNS} first visits; worst ${worst} s; wanted: 2 s). Before the click it loads ${(visits[0].before / 1000).toFixed(1)} kB (wanted: 6 kB).`);
