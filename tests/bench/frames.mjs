// How long the page's main thread works for a frame while the map is moved and while it changes, beside two graph
// libraries that draw the same graph. `cargo xtask frames` builds the page, runs this, and writes docs/SPEED.md.
//
// Main-thread time is the processor time that the thread's tasks have had, as the browser's own trace has it, divided by
// the frames that it drew: what else the machine does counts little. Everything runs in one browser, one after the other,
// each in a page of its own.
import { build } from "esbuild";
import { chromium } from "@playwright/test";

const url = process.env.KUBARIUM_URL;
if (!url) throw new Error("KUBARIUM_URL is not set: run `cargo xtask frames`");
const SIZES = (process.env.KUBARIUM_PODS ?? "100,1000,3000").split(",").map(Number);
const FRAMES = 90;
const WINDOW = { width: 1280, height: 720 };

// sigma.js needs WebGL, which the processor plays here; what a page paints it paints quicker as a processor does.
const GRAPHICS = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-gpu-rasterization"];
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || undefined,
  args: ["--no-sandbox", ...GRAPHICS, "--disable-background-networking", "--js-flags=--max-old-space-size=4096"],
});

/** What the main thread of a page works while `act` goes on, in milliseconds for each frame. */
async function measure(page, act) {
  const session = await page.context().newCDPSession(page);
  const events = [];
  session.on("Tracing.dataCollected", ({ value }) => events.push(...value));
  const whole = new Promise((resolve) => session.once("Tracing.tracingComplete", resolve));
  await session.send("Tracing.start", { transferMode: "ReportEvents", traceConfig: { includedCategories: ["devtools.timeline", "disabled-by-default-devtools.timeline", "__metadata"] } });
  const { frames, marks } = await act(page);
  await session.send("Tracing.end");
  await whole;
  await session.detach();
  // The renderer whose main thread ran our frames is the one that worked most.
  const main = new Map();
  for (const e of events) if (e.name === "thread_name" && e.args.name === "CrRendererMain") main.set(`${e.pid}/${e.tid}`, new Map());
  for (const e of events) {
    const of = e.ph === "X" && main.get(`${e.pid}/${e.tid}`);
    if (of) of.set(e.name, (of.get(e.name) ?? 0) + (e.tdur ?? e.dur ?? 0) / 1000);
  }
  const [busiest] = [...main.values()].sort((a, b) => (b.get("RunTask") ?? 0) - (a.get("RunTask") ?? 0));
  const each = (name) => (busiest?.get(name) ?? 0) / frames;
  if (process.env.KUBARIUM_PARTS) {
    const parts = [...(busiest?.keys() ?? [])].map((name) => [name, each(name)]).filter(([, ms]) => ms > 0.2);
    console.error(parts.sort((a, b) => b[1] - a[1]).map(([name, ms]) => `${name} ${ms.toFixed(1)}`).join(", "));
  }
  return { each: each("RunTask"), marks };
}

const inPage = (text) => (page) => page.evaluate(new Function("frames", `return (${text})(frames)`), FRAMES);

/** Runs in the page: calls `step` once a frame, so often. */
const eachFrame = `async (frames, step) => {
  for (let n = 0; n < frames; n++) { step(n); await new Promise(requestAnimationFrame); }
  await new Promise(requestAnimationFrame);
  return { frames };
}`;

// --- Kubarium ------------------------------------------------------------------------------------------------------

/** A page for somebody who has been here before: nothing lies over it. */
async function opened(context) {
  const page = await context.newPage();
  await page.addInitScript(() => localStorage.setItem("kubarium/1/visited", "1"));
  return page;
}

/** A page with a cluster that runs so many pods. */
async function kubarium(pods) {
  const page = await opened(await browser.newContext({ viewport: WINDOW, reducedMotion: "reduce" }));
  await page.goto(url);
  await page.locator(".room").nth(2).waitFor({ timeout: 120_000 });
  const prompt = page.getByLabel("Command", { exact: true });
  const run = async (line) => {
    const before = await page.locator(".entry").count();
    await prompt.fill(line);
    await prompt.press("Enter");
    const done = (before) => {
      const entries = document.querySelectorAll(".entry");
      return entries.length > before && !entries[before].querySelector(".running");
    };
    await page.waitForFunction(done, before, { timeout: 600_000 });
  };
  await run("kubectl create deployment web --image=nginx");
  // A kubelet takes 110 pods: so many machines as the pods need.
  for (let n = 3; n <= Math.ceil(pods / 100); n++) await run(`sim node add worker-${n}`);
  await run(`kubectl expose deployment web --port=80; kubectl scale deployment web --replicas=${pods}; sim settle`);
  await page.waitForFunction((pods) => document.querySelectorAll(".pod[data-state=ready]").length >= pods, pods, { timeout: 600_000 });
  return { page, run };
}

const pan = inPage(`(frames) => (${eachFrame})(frames, (n) => {
  const canvas = document.querySelector(".canvas");
  const { left, top } = canvas.getBoundingClientRect();
  const at = (type, x) => canvas.dispatchEvent(new PointerEvent(type, { bubbles: true, pointerId: 1, pointerType: "mouse", clientX: left + x, clientY: top + 200 }));
  if (n === 0) at("pointerdown", 200);
  at("pointermove", 206 + (n % 60) * 4);
  if (n === frames - 1) at("pointerup", 206 + (n % 60) * 4);
})`);

const zoom = inPage(`(frames) => (${eachFrame})(frames, (n) => {
  const canvas = document.querySelector(".canvas");
  const { left, top } = canvas.getBoundingClientRect();
  canvas.dispatchEvent(new WheelEvent("wheel", { bubbles: true, cancelable: true, clientX: left + 400, clientY: top + 100, deltaY: n % 30 < 15 ? -24 : 24 }));
})`);

/** Four seconds of the map's life; counts what changes on it. */
const LIFE = `async (each) => {
  let changes = 0;
  const observer = new MutationObserver((all) => (changes += all.length));
  observer.observe(document.querySelector(".stage"), { subtree: true, attributes: true, attributeFilter: ["data-state"], childList: true });
  const began = performance.now();
  let frames = 0;
  const timer = each && setInterval(each, 200);
  while (performance.now() - began < 4000) { frames++; await new Promise(requestAnimationFrame); }
  clearInterval(timer);
  observer.disconnect();
  return { frames, marks: { changes: (changes * 1000) / (performance.now() - began) } };
}`;

/** A rollout goes on by itself, as fast as it can. */
const rollOut = inPage(`() => (${LIFE})()`);

/** Pods are deleted by commands, and others take their place: about a hundred changes a second. */
const churn = inPage(`() => {
  const names = [...document.querySelectorAll(".pod[data-thing^='pod:default/web']")].map((pod) => pod.dataset.thing.split("/")[1]);
  const input = document.querySelector(".prompt input");
  return (${LIFE})(() => {
    input.value = "kubectl delete --wait=false pod " + names.pop();
    input.dispatchEvent(new InputEvent("input", { bubbles: true }));
    input.form.requestSubmit();
  });
}`);

/** How long keys in the terminal and clicks on pods take, from the input until the frame that shows it has been handed to
 *  the compositor: the worst of all. */
async function inputs(page) {
  await page.evaluate(() => {
    const known = "worst" in window;
    window.worst = 0;
    if (known) return;
    const look = (event) =>
      requestAnimationFrame(() => {
        // A message comes after what the frame still has to do: styles, layout, paint.
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => (window.worst = Math.max(window.worst, performance.now() - event.timeStamp));
        port2.postMessage(0);
      });
    for (const type of ["keydown", "click"]) addEventListener(type, look, { capture: true });
  });
  await page.getByLabel("Command", { exact: true }).click();
  for (let n = 0; n < 20; n++) await page.keyboard.press("x", { delay: 20 });
  const pods = page.locator(".pod");
  for (let n = 0; n < 5; n++) await pods.nth(n).click({ force: true });
  await page.waitForTimeout(1000);
  await page.getByLabel("Command", { exact: true }).fill("");
  return ms(await page.evaluate(() => window.worst));
}

// --- The others ----------------------------------------------------------------------------------------------------

/** The same graph: nodes in rooms, pods in them, a Service with a line to each pod. */
const graph = `(pods) => {
  const perNode = 100, nodes = Math.max(3, Math.ceil(pods / perNode) + 1), side = Math.ceil(Math.sqrt(nodes));
  const all = [{ id: "service", x: 0, y: -200, size: 12 }], lines = [];
  for (let n = 0; n < nodes; n++) all.push({ id: "n" + n, x: (n % side) * 400, y: Math.floor(n / side) * 400, size: 10 });
  for (let p = 0; p < pods; p++) {
    const n = p % nodes, slot = Math.floor(p / nodes);
    all.push({ id: "p" + p, x: (n % side) * 400 + (slot % 15) * 24, y: Math.floor(n / side) * 400 + 40 + Math.floor(slot / 15) * 24, size: 4 });
    lines.push(["n" + n, "p" + p], ["service", "p" + p]);
  }
  return { all, lines };
}`;

const OTHERS = {
  "Cytoscape.js": {
    script: `import cytoscape from "cytoscape";
      window.start = (pods) => {
        const { all, lines } = (${graph})(pods);
        const cy = cytoscape({
          container: document.getElementById("place"), layout: { name: "preset" }, textureOnViewport: false, pixelRatio: 1,
          style: [{ selector: "node", style: { width: "data(size)", height: "data(size)", "background-color": "data(colour)" } }, { selector: "edge", style: { width: 1, "line-color": "#8aa" } }],
          elements: [...all.map((n) => ({ data: { id: n.id, size: n.size * 2, colour: "#484" }, position: { x: n.x, y: n.y } })), ...lines.map(([a, b]) => ({ data: { id: a + b, source: a, target: b } }))],
        });
        cy.fit();
        const place = document.getElementById("place");
        window.pan = (n) => cy.panBy({ x: n % 60 < 30 ? 4 : -4, y: 0 });
        window.zoom = (n) => cy.zoom({ level: cy.zoom() * (n % 30 < 15 ? 1.06 : 1 / 1.06), renderedPosition: { x: 640, y: 360 } });
        window.change = (n) => cy.getElementById("p" + (n % pods)).data("colour", n % 2 ? "#b22" : "#484");
      };`,
  },
  "sigma.js": {
    script: `import Graph from "graphology"; import Sigma from "sigma";
      window.start = (pods) => {
        const { all, lines } = (${graph})(pods);
        const graph = new Graph();
        for (const n of all) graph.addNode(n.id, { x: n.x, y: -n.y, size: n.size, color: "#484448".slice(0, 4) });
        for (const [a, b] of lines) graph.addEdge(a, b, { size: 1, color: "#8aa" });
        const sigma = new Sigma(graph, document.getElementById("place"));
        const camera = sigma.getCamera();
        window.pan = (n) => camera.setState({ x: camera.x + (n % 60 < 30 ? 0.004 : -0.004) });
        window.zoom = (n) => camera.setState({ ratio: camera.ratio * (n % 30 < 15 ? 1 / 1.06 : 1.06) });
        window.change = (n) => graph.setNodeAttribute("p" + (n % pods), "color", n % 2 ? "#b22" : "#484");
      };`,
  },
};

async function other({ script }, pods) {
  const bundle = await build({ stdin: { contents: script, resolveDir: process.cwd() }, bundle: true, write: false, format: "iife", logLevel: "error" });
  const page = await browser.newPage({ viewport: WINDOW });
  await page.setContent(`<!doctype html><style>html,body,#place{margin:0;width:100%;height:100%}</style><div id="place"></div>`);
  await page.addScriptTag({ content: bundle.outputFiles[0].text });
  await page.evaluate((pods) => window.start(pods), pods);
  await page.waitForTimeout(500);
  return page;
}

const call = (name) => inPage(`(frames) => (${eachFrame})(frames, (n) => window.${name}(n))`);
/** A hundred changes a second, as they come: between frames. */
const changing = inPage(`async () => {
  let n = 0;
  const timer = setInterval(() => window.change(n++), 10);
  const began = performance.now();
  let frames = 0;
  while (performance.now() - began < 4000) { frames++; await new Promise(requestAnimationFrame); }
  clearInterval(timer);
  return { frames, marks: { changes: (n * 1000) / (performance.now() - began) } };
}`);

// --- Opening -------------------------------------------------------------------------------------------------------

/** From an empty browser to the first packet on the map, in milliseconds since the address was given; the page itself
 *  takes the times. */
async function opening() {
  const context = await browser.newContext({ viewport: WINDOW, reducedMotion: "reduce" });
  const page = await opened(context);
  await page.addInitScript(() => {
    const once = (name, selector, then) => {
      const found = () => {
        const element = document.querySelector(selector);
        if (!element) return requestAnimationFrame(found);
        performance.mark(name);
        then?.(element);
      };
      found();
    };
    addEventListener("DOMContentLoaded", () => {
      once("shell", ".prompt input");
      once("cluster", ".room", () => {
        const input = document.querySelector(".prompt input");
        input.value = "sim trace node/worker-1 10.43.0.10:53";
        input.dispatchEvent(new InputEvent("input", { bubbles: true }));
        input.form?.requestSubmit();
      });
      once("packet", "g.packet");
    });
  });
  await page.goto(url);
  await page.waitForFunction(() => performance.getEntriesByName("packet").length, null, { timeout: 60_000 });
  const marks = await page.evaluate(() => Object.fromEntries(performance.getEntriesByType("mark").map((mark) => [mark.name, mark.startTime])));
  await context.close();
  return marks;
}

// --- The table -----------------------------------------------------------------------------------------------------

const ms = (n) => `${n.toFixed(1)} ms`;
const at = ({ each, marks }) => `${ms(each)} at ${Math.round(marks.changes)} changes a second`;
const row = (cells) => console.log(`| ${cells.join(" | ")} |`);
const middle = (list) => list.sort((a, b) => a - b)[list.length >> 1];

const times = [await opening(), await opening(), await opening()];
const after = (name) => `${(middle(times.map((marks) => marks[name])) / 1000).toFixed(2)} s`;
row(["opening", "Kubarium", `page ${after("shell")}`, `cluster ${after("cluster")}`, `first packet on the map ${after("packet")}`, ""]);
for (const pods of SIZES) {
  const { page, run } = await kubarium(pods);
  const moved = await measure(page, pan);
  const zoomed = await measure(page, zoom);
  await page.getByRole("button", { name: "Show everything" }).click();
  const changed = await measure(page, churn);
  const names = await page.locator(".pod[data-thing^='pod:default/web']").evaluateAll((all) => all.slice(0, 10).map((pod) => pod.dataset.thing.split("/")[1]));
  await run(`kubectl delete --wait=false pod ${names.join(" ")}`);
  const worst = await inputs(page);
  await run("kubectl rollout restart deployment web");
  const rolled = await measure(page, rollOut);
  const worstOfAll = await inputs(page);
  row([pods, "Kubarium", ms(moved.each), ms(zoomed.each), at(changed), worst]);
  row([pods, "Kubarium, in a rollout", "", "", at(rolled), worstOfAll]);
  await page.context().close();
  for (const [name, library] of Object.entries(OTHERS)) {
    const page = await other(library, pods);
    const moved = await measure(page, call("pan"));
    const zoomed = await measure(page, call("zoom"));
    const changed = await measure(page, changing);
    row([pods, name, ms(moved.each), ms(zoomed.each), at(changed), ""]);
    await page.close();
  }
}
await browser.close();
