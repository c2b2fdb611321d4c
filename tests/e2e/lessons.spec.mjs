// Scenes and exercises, sharing, and the page inside other pages.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { expect, expectAccessible, open, run, test } from "./page.mjs";

const lessons = (page) => page.getByRole("button", { name: "Lessons" });
/** Writes a text into the editor in place of what is there, as a hand does: a browser that fills it in styles it. */
async function write(page, text) {
  await page.locator(".cm-content").press("Control+A");
  await page.keyboard.type(text);
}
const gallery = (page) => page.getByRole("dialog", { name: "What do you want to see?" });

test("who comes for the first time is shown what there is, and one click begins it", async ({ page }) => {
  await open(page, { first: true, editor: false });
  await expect(gallery(page)).toBeVisible();
  await expect(gallery(page).getByRole("heading", { name: "Kubernetes, brought to life" })).toBeVisible();
  await expectAccessible(page);
  await page.getByRole("link", { name: /Problem 4: pod to Service/ }).click();
  await expect(page.locator(".lesson h2")).toHaveText("Problem 4: pod to Service");
  await expect(page.locator(".pod").filter({ hasText: "pod-1" })).toBeVisible();
  await expectAccessible(page);
  await page.getByRole("button", { name: "Run this" }).first().click();
  await expect(page.locator(".entry").last()).toContainText("kubectl get endpointslices");
  // The address is the scene's; without it the work is there again.
  await page.waitForFunction(() => localStorage.getItem("kubarium/1/work-lesson")?.includes("pod-to-service"));
  await page.goto("./");
  await expect(page.locator(".lesson h2")).toHaveText("Problem 4: pod to Service");
});

test("the plain cluster is a click away, and the gallery is not shown again", async ({ page }) => {
  await open(page, { first: true, editor: false });
  await page.getByRole("button", { name: "Go to the cluster" }).click();
  await expect(gallery(page)).toBeHidden();
  await page.reload();
  await expect(page.locator(".room")).toHaveCount(3);
  await expect(gallery(page)).toBeHidden();
  await lessons(page).click();
  await expect(gallery(page)).toBeVisible();
});

test("an exercise checks by itself, gives hints, and keeps its progress", async ({ page }) => {
  await open(page, { cluster: true });
  await page.goto("./#exercise=first-deployment");
  await expect(page.locator(".lesson h2")).toHaveText("Your first Deployment");
  await expect(page.locator(".missing")).toContainText("There is no Deployment web.");
  await page.getByRole("button", { name: "Show a hint (2 left)" }).click();
  await expect(page.locator(".hint")).toHaveCount(1);
  await page.getByText("The goal, drawn").click();
  await expect(page.locator(".goal .pod").first()).toBeVisible();
  await expect(page.locator(".canvas .pod").filter({ hasText: "web" })).toHaveCount(0);
  await run(page, "kubectl create deployment web --image=nginx");
  await expect(page.locator(".step[data-done]")).toHaveCount(1);
  await page.reload();
  await expect(page.locator(".step[data-done]")).toHaveCount(1);
  await expect(page.locator(".hint")).toHaveCount(1);
  await page.getByRole("button", { name: "Start over" }).click();
  await expect(page.locator(".step[data-done]")).toHaveCount(0);
  await expect(page.locator(".missing")).toContainText("There is no Deployment web.");
});

test("what was done is there again at the next visit", async ({ page }) => {
  await open(page, { cluster: true });
  await run(page, "kubectl create configmap mine");
  await page.waitForFunction(() => localStorage.getItem("kubarium/1/work")?.includes("configmap mine"));
  await page.reload();
  await expect(page.locator(".room")).toHaveCount(3);
  expect(await run(page, "kubectl get configmap mine -o name")).toContain("configmap/mine");
  await lessons(page).click();
  await page.getByRole("button", { name: "A new cluster" }).click();
  expect(await run(page, "kubectl get configmap mine -o name")).toContain("not found");
});

test("a shared link brings the files and the view too", async ({ page, context }) => {
  await open(page, { cluster: true });
  await write(page, "# mine");
  await page.getByRole("tab", { name: "Objects" }).click();
  await page.getByRole("button", { name: "Share", exact: true }).click();
  await page.waitForFunction(() => location.hash.startsWith("#state="));
  const other = await context.newPage();
  await other.goto(page.url());
  await expect(other.locator(".file-tabs [role=tab]").filter({ hasText: "web.yaml" })).toHaveAttribute("aria-selected", "true");
  await expect(other.locator(".cm-content")).toContainText("# mine");
  await expect(other.getByRole("tab", { name: "Objects" })).toHaveAttribute("aria-selected", "true");
  await other.close();
});

test("a lesson's files take the place of the last one's, and what was written stays", async ({ page }) => {
  await open(page, { cluster: true });
  const tabs = page.locator(".file-tabs [role=tab]");
  await page.goto("./#scene=pod-to-service");
  await expect(tabs).toHaveText(["manifests.yaml"]);
  await page.goto("./#scene=client-and-server");
  await expect(page.locator(".lesson h2")).toHaveText("Client and server");
  await expect(tabs).toHaveText(["manifests.yaml"]);
  await page.getByRole("button", { name: "Manifests" }).first().click();
  await write(page, "# mine");
  await page.goto("./#scene=pod-to-service");
  await expect(tabs).toHaveText(["manifests.yaml", "manifests-2.yaml"]);
});

test("a shared link brings the cluster back, and a damaged one says so", async ({ page, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await open(page, { cluster: true });
  await run(page, "kubectl create configmap shared");
  await page.getByRole("button", { name: "Share", exact: true }).click();
  await expect(page.locator(".shared")).not.toBeEmpty();
  const address = page.url();
  expect(address).toMatch(/#state=1\.[A-Za-z0-9_-]+\.[0-9a-f]{8}$/);
  const other = await context.newPage();
  await other.goto(address);
  await expect(other.locator(".room")).toHaveCount(3);
  expect(await run(other, "kubectl get configmap shared -o name")).toContain("configmap/shared");
  await other.goto("./#" + new URL(address).hash.slice(1, -20));
  await expect(other.locator(".remark").first()).toContainText("damaged or was cut short");
  await other.goto("./#state=9.AAAA.00000000");
  await expect(other.locator(".remark").first()).toContainText("newer");
});

test.describe("with its service worker", () => {
  test.use({ serviceWorkers: "allow" });

  test("once visited, the page works without a connection", async ({ page, context }) => {
    page.allowErrors();
    await open(page, { cluster: true });
    await page.evaluate(() => navigator.serviceWorker.ready);
    await page.waitForFunction(async () => (await caches.keys()).length > 0 && navigator.serviceWorker.controller);
    await context.setOffline(true);
    await page.reload();
    await expect(page.locator(".room")).toHaveCount(3);
    await expect(page.locator(".cm-content")).toBeVisible();
    await page.getByRole("tab", { name: "Objects" }).click();
    await expect(page.getByRole("cell", { name: "kube-dns" }).first()).toBeVisible();
    await page.goto("./#exercise=first-deployment");
    await expect(page.locator(".lesson h2")).toHaveText("Your first Deployment");
    await context.setOffline(false);
  });
});

/** A host page on the same server: `body` is its content, `csp` its policy. */
async function host(page, body, csp) {
  await page.route("**/host.html", (route) =>
    route.fulfill({
      contentType: "text/html",
      headers: csp ? { "Content-Security-Policy": csp } : {},
      body: `<!doctype html><html lang="en"><title>Host</title><body>${body}</body></html>`,
    }),
  );
  await page.goto("./host.html");
}

const TAG = '<script type="module" src="./embed/kube-lab.js"></script>';

test("a tag on a plain page brings a cluster, which applies the tag's own text", async ({ page }) => {
  const hear = '<script>addEventListener("kube-applied", (event) => (window.applied = event.detail));</script>';
  await host(page, `${hear}${TAG}<kube-lab><pre>
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: from-host}
  </pre></kube-lab>`);
  await page.waitForFunction(() => window.applied);
  const told = await page.evaluate(async () => {
    const lab = document.querySelector("kube-lab");
    const missing = await lab.ask("nonsense", {}).catch((error) => error.code);
    return { missing, applied: window.applied, ...(await lab.run("kubectl get configmap from-host -o name")) };
  });
  const applied = { output: "configmap/from-host created\n", status: 0 };
  expect(told).toEqual({ missing: "unknown", applied, output: "configmap/from-host\n", status: 0 });
  // What was applied is what the reader finds in the editor, and nothing else.
  const frame = page.frameLocator("kube-lab iframe");
  await expect(frame.locator(".file-tabs [role=tab]")).toHaveText(["manifests.yaml"]);
  // Beside the map of a frame the panel is a rail: the editor comes when it is opened.
  await frame.getByRole("button", { name: "Open Manifests" }).click();
  await expect(frame.locator(".cm-content")).toContainText("from-host");
});

test("a frame without a height gets the one that fits, with the map beside what is read", async ({ page }) => {
  for (const [width, least] of [[360, 640], [720, 440], [1300, 600]]) {
    await page.setViewportSize({ width: width + 16, height: 900 });
    await host(page, `${TAG}<kube-lab scene="pod-to-service"></kube-lab>`);
    const lab = page.locator("kube-lab");
    await expect.poll(async () => (await lab.boundingBox()).height).not.toBe(480);
    const frame = page.frameLocator("kube-lab iframe");
    const [whole, map] = [await lab.boundingBox(), await frame.locator(".canvas").boundingBox()];
    expect(whole.height).toBeGreaterThanOrEqual(least);
    expect(map.height).toBeGreaterThan(180);
    expect(map.width).toBeGreaterThan(300);
  }
  await page.evaluate(() => document.querySelector("kube-lab").setAttribute("height", "500"));
  expect((await page.locator("kube-lab").boundingBox()).height).toBe(500);
});

test("only looking has neither editor nor terminal, at any width", async ({ page }) => {
  for (const width of [390, 720, 1300]) {
    await page.setViewportSize({ width, height: 900 });
    await host(page, `${TAG}<kube-lab readonly></kube-lab>`);
    const frame = page.frameLocator("kube-lab iframe");
    await expect(frame.locator(".room")).toHaveCount(3);
    await expect(frame.getByRole("tab", { name: /Objects/ })).toBeVisible();
    await expect(frame.getByRole("tab", { name: /Terminal|YAML/ })).toHaveCount(0);
    await expect(frame.locator(".cm-content:visible")).toHaveCount(0);
  }
});

test("what is typed in a frame's terminal runs, with an origin and without", async ({ page }) => {
  for (const isolated of ["", "isolated"]) {
    await host(page, `${TAG}<kube-lab ${isolated} view="terminal"></kube-lab>`);
    const frame = page.frameLocator("kube-lab iframe");
    await expect(frame.locator(".room")).toHaveCount(3);
    await frame.getByLabel("Command", { exact: true }).fill("kubectl get nodes -o name");
    await frame.getByLabel("Command", { exact: true }).press("Enter");
    await expect(frame.locator(".entry").last()).toContainText("node/worker-1");
  }
});

test("nothing is loaded before the click, and the script is small", async ({ page }) => {
  const asked = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname.split("/").pop()));
  await host(page, `${TAG}<kube-lab load="click" label="Start"></kube-lab>`);
  await expect(page.getByRole("button", { name: "Start" })).toBeVisible();
  expect(asked.filter((file) => file !== "host.html")).toEqual(["kube-lab.js"]);
  await page.getByRole("button", { name: "Start" }).click();
  await expect(page.frameLocator("kube-lab iframe").locator(".room")).toHaveCount(3);
});

test("several tags, a strict policy, and a host that floods", async ({ page }) => {
  const csp = "default-src 'none'; script-src 'self'; frame-src 'self'";
  await host(page, `${TAG}<kube-lab id="a"></kube-lab><kube-lab id="b" readonly></kube-lab>`, csp);
  for (const id of ["a", "b"]) await expect(page.frameLocator(`#${id} iframe`).locator(".room")).toHaveCount(3);
  const codes = await page.evaluate(async () => {
    const [a, b] = ["a", "b"].map((id) => document.getElementById(id));
    const frame = a.shadowRoot.querySelector("iframe");
    for (let n = 0; n < 500; n++) frame.contentWindow.postMessage({ kubarium: 1, connect: true }, "*");
    const flood = await Promise.all(Array.from({ length: 200 }, () => a.run("true").then(() => "done", (error) => error.code)));
    return { busy: flood.includes("busy"), done: flood.includes("done"), readonly: await b.run("true").catch((error) => error.code) };
  });
  expect(codes).toEqual({ busy: true, done: true, readonly: "readonly" });
});

test("the theme follows the host", async ({ page }) => {
  await host(page, `${TAG}<kube-lab></kube-lab>`);
  const root = page.frameLocator("kube-lab iframe").locator("html");
  await expect(root).toHaveAttribute("data-theme", "light");
  await page.evaluate(() => { document.body.style.color = "#eee"; });
  await expect(root).toHaveAttribute("data-theme", "dark");
});

test("a lesson of the host's own is named by its address", async ({ page }) => {
  const text = (await readFile("exercises/first-deployment.yaml", "utf8")).replace("title: Your first Deployment", "title: Mine");
  await page.route("**/lessons/mine.yaml", (route) => route.fulfill({ contentType: "text/yaml", body: text }));
  await page.route("**/lessons/wrong.yaml", (route) => route.fulfill({ contentType: "text/yaml", body: "kind: Exercise\nnonsense: 1\n" }));
  await host(page, `${TAG}<kube-lab exercise="lessons/mine.yaml"></kube-lab>`);
  await expect(page.frameLocator("kube-lab iframe").locator(".lesson h2")).toHaveText("Mine");
  const why = await page.evaluate(() => {
    const heard = new Promise((resolve) => addEventListener("kube-error", (event) => resolve(event.detail)));
    document.querySelector("kube-lab").setAttribute("exercise", "lessons/wrong.yaml");
    return heard;
  });
  expect(why.code).toBe("failed");
  expect(why.message).toContain("nonsense");
});

test("the language follows the host", async ({ page }) => {
  await host(page, `${TAG}<kube-lab></kube-lab>`);
  const frame = page.frameLocator("kube-lab iframe");
  await expect(frame.locator("html")).toHaveAttribute("lang", "en");
  const speaks = async (element, tag, terminal) => {
    await page.evaluate(([element, tag]) => document.querySelector(element).setAttribute("lang", tag), [element, tag]);
    await expect(frame.locator("html")).toHaveAttribute("lang", tag);
    await expect(frame.getByRole("tab", { name: terminal })).toBeVisible();
  };
  await speaks("html", "de", "Objekte");
  await speaks("kube-lab", "en", "Objects");
});

test("a frame without an origin works, and what is done there lasts until it is closed", async ({ page }) => {
  await host(page, `${TAG}<kube-lab isolated exercise="first-deployment"></kube-lab>`);
  const frame = page.frameLocator("kube-lab iframe");
  await expect(frame.locator(".lesson h2")).toHaveText("Your first Deployment");
  expect(await frame.locator("html").evaluate(() => self.origin)).toBe("null");
  const done = await page.evaluate(async () => {
    const lab = document.querySelector("kube-lab");
    const heard = new Promise((resolve) => lab.addEventListener("kube-task-done", (event) => resolve(event.detail.done)));
    await lab.run("kubectl create deployment web --image=nginx");
    return heard;
  });
  expect(done).toBe(1);
  await frame.getByLabel("Settings").first().click();
  await expect(frame.getByText("This browser keeps nothing for Kubarium here.")).toBeVisible();
  await expect(frame.locator(".notice")).toHaveCount(0);
});

/** A server that gives the page's files, and pages of its own by their paths, with or without the header that lets all
 *  origins read them. What the tests answer themselves counts as a page from elsewhere, which may not ask this machine. */
async function server(baseURL, own, headers) {
  const running = createServer(async (request, response) => {
    if (request.url === "/favicon.ico") return response.writeHead(204).end();
    const page = own[request.url];
    if (page) return response.writeHead(200, { ...headers, "Content-Type": "text/html" }).end(page);
    const answer = await fetch(new URL(request.url, baseURL));
    response.writeHead(answer.status, { ...headers, "Content-Type": answer.headers.get("Content-Type") });
    response.end(Buffer.from(await answer.arrayBuffer()));
  });
  await new Promise((resolve) => running.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${running.address().port}/`, close: () => new Promise((resolve) => running.close(resolve)) };
}

const whole = (body) => `<!doctype html><html lang="en"><title>Host</title><body>${body}</body></html>`;

test("a page that stands itself in a frame without an origin has a cluster", async ({ page, baseURL }) => {
  const outer = whole('<iframe title="Inner" sandbox="allow-scripts" src="./inner.html" width="1200" height="700"></iframe>');
  const own = { "/outer.html": outer, "/inner.html": whole(`${TAG}<kube-lab></kube-lab>`) };
  const site = await server(baseURL, own, { "Access-Control-Allow-Origin": "*" });
  await page.goto(`${site.url}outer.html`);
  const frame = page.frameLocator("iframe").frameLocator("kube-lab iframe");
  await expect(frame.locator(".room")).toHaveCount(3);
  // Where the host may have no forms, Enter is heard all the same.
  await frame.getByRole("tab", { name: "Terminal" }).click();
  await frame.getByLabel("Command", { exact: true }).fill("kubectl get nodes -o name");
  await frame.getByLabel("Command", { exact: true }).press("Enter");
  await expect(frame.locator(".entry").last()).toContainText("node/worker-1");
  await page.goto("about:blank");
  await site.close();
});

test("where the server keeps its files to its own pages, a frame without an origin says so", async ({ page, baseURL }) => {
  page.allowErrors();
  const own = { "/own.html": whole(`${TAG}<kube-lab isolated load="click"></kube-lab>`) };
  const site = await server(baseURL, own, {});
  await page.goto(`${site.url}own.html`);
  const why = await page.evaluate(() => {
    const heard = new Promise((resolve) => addEventListener("kube-error", (event) => resolve(event.detail)));
    document.querySelector("kube-lab").start();
    return heard;
  });
  expect(why.code).toBe("failed");
  expect(why.message).toContain("Access-Control-Allow-Origin: *");
  await expect(page.frameLocator("kube-lab iframe").locator("#crash-detail")).toContainText("Access-Control-Allow-Origin: *");
  // With an origin of its own it works there too.
  await page.evaluate(() => document.querySelector("kube-lab").removeAttribute("isolated"));
  await expect(page.frameLocator("kube-lab iframe").locator(".room")).toHaveCount(3);
  await page.goto("about:blank");
  await site.close();
});

test("attributes are live, and an element can go and come again", async ({ page }) => {
  await host(page, `${TAG}<kube-lab scene="pod-to-service"></kube-lab>`);
  const title = page.frameLocator("kube-lab iframe").locator(".lesson h2");
  await expect(title).toHaveText("Problem 4: pod to Service");
  await page.evaluate(() => document.querySelector("kube-lab").setAttribute("scene", "client-and-server"));
  await expect(title).toHaveText("Client and server");
  // As pages with instant navigation do.
  await page.evaluate(() => {
    const lab = document.querySelector("kube-lab");
    lab.remove();
    document.body.append(lab);
  });
  await expect(title).toHaveText("Client and server");
});

test("nothing in a link or a lesson becomes an element", async ({ page }) => {
  await open(page, { cluster: true });
  page.allowErrors();
  const scene = (await readFile("scenes/client-and-server.yaml", "utf8"))
    .replace("title: Client and server", 'title: "<img src=x onerror=window.hurt=1>"')
    .replace("text: |\n", "text: |\n  <script>window.hurt=1</script> [x](javascript:window.hurt=1)\n\n");
  await page.route("**/scenes/client-and-server.yaml", (route) => route.fulfill({ body: scene }));
  await page.goto("./#scene=client-and-server");
  await expect(page.locator(".lesson h2")).toHaveText("<img src=x onerror=window.hurt=1>");
  expect(await page.locator(".lesson a[href^='javascript']").count()).toBe(0);
  expect(await page.evaluate(() => window.hurt)).toBeUndefined();
});

test("none of the attack strings becomes an element, in any field of a lesson", async ({ page }) => {
  page.allowErrors();
  const lines = (await readFile("crates/lesson/tests/attacks.txt", "utf8")).split("\n");
  const attacks = lines.filter((line) => line && !line.startsWith("# "));
  expect(attacks.length).toBeGreaterThanOrEqual(200);
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await open(page, { cluster: true });
  for (let at = 0; at < attacks.length; at += 60) {
    const some = attacks.slice(at, at + 60);
    const quoted = (text) => JSON.stringify(text);
    const steps = some.map((text) => `  - {title: ${quoted(text)}, text: ${quoted(`${text}\n\n**${text}** [x](${text})`)}, run: []}`);
    const scene = ["apiVersion: kubarium/v1", "kind: Scene", "name: attack", `title: ${quoted(some[0])}`, "summary: x", "text: x", "steps:", ...steps];
    asked.length = 0;
    await page.locator(".gallery input[type=file]").setInputFiles({ name: "attack.yaml", mimeType: "text/yaml", buffer: Buffer.from(scene.join("\n")) });
    await expect(page.locator(".lesson .step").or(page.locator(".remark:not(:empty)")).first()).toBeAttached();
    expect(await page.locator(".lesson").locator("script, img, iframe, object, embed, form, style, link, [onclick], [onerror]").count()).toBe(0);
    const leads = await page.locator(".lesson a").evaluateAll((links) => links.map((link) => link.protocol));
    expect(leads.filter((protocol) => !/^https?:$/.test(protocol))).toEqual([]);
    // Parts of the page's own module may come at any time.
    expect(asked.filter((url) => !/^blob:|\/page-[0-9a-f]+\/\w+\.wasm$/.test(url))).toEqual([]);
  }
  await expect(page.locator(".lesson .step").first()).toBeAttached();
});

test("an exercise that loops for ever is stopped, and the page goes on", async ({ page }) => {
  await open(page, { cluster: true });
  const exercise = `apiVersion: kubarium/v1
kind: Exercise
name: loop
title: Loop
text: x
start: ["while true; do sleep 1; done"]
tasks:
  - name: a
    title: A
    text: a
    check: [{assert: {apiVersion: v1, kind: ConfigMap, metadata: {name: x}}, explain: none}]
    solution: [kubectl create configmap x]
`;
  await page.locator(".gallery input[type=file]").setInputFiles({ name: "loop.yaml", mimeType: "text/yaml", buffer: Buffer.from(exercise) });
  await expect(page.locator(".notices .remark")).toContainText("has run for too long");
  expect(await run(page, "kubectl get nodes -o name")).toContain("node/worker-1");
});
