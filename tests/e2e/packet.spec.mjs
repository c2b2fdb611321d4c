// The whole path: two manifests applied, the cluster carrying them out, one request followed to its end.
import { ask, deploy } from "./cluster.mjs";
import { expect, expectAccessible, open, PHONE, run, test, WIDE } from "./page.mjs";

for (const [name, size] of [["wide", WIDE], ["phone", PHONE]]) {
  test(`from two manifests to a packet, to its end: ${name}`, async ({ page }) => {
    await open(page, { size, editor: false, cluster: true });
    await deploy(page);
    // Both a server on the client's node and one on another are drawn sooner or later.
    const seen = { same: false, other: false };
    const own = (await page.locator(".pod[aria-label^='Pod curl']").getAttribute("aria-label")).match(/10\.42\.\d+/)[0];
    for (let tries = 0; tries < 16 && !(seen.same && seen.other); tries++) {
      const sentences = await ask(page, "http://web");
      expect(sentences.length).toBeGreaterThan(20);
      const answers = (await page.locator(".verdict").first().textContent()).match(/10\.42\.\d+/)[0];
      seen[answers === own ? "same" : "other"] = true;
      if (answers !== own) expect(sentences.some((s) => /VXLAN|encapsulat/i.test(s)), "another node is reached by the tunnel").toBe(true);
      expect(sentences.some((s) => s.includes("10.43.")), "the Service's address is named").toBe(true);
    }
    expect(seen, "same node and across nodes").toEqual({ same: true, other: true });

    // Step by step to the end: each step says something, and the packet is somewhere on the map.
    const scrub = page.getByRole("slider", { name: "Step of the packet" });
    await scrub.focus();
    await page.keyboard.press("Home");
    const last = Number(await scrub.getAttribute("max"));
    const sentence = page.locator(".current .sentence");
    for (let step = 0; step < last; step++) {
      if (!(await sentence.textContent())) throw new Error(`step ${step + 1} says nothing`);
      await page.keyboard.press("ArrowRight");
    }
    await expect(page.locator(".player .count")).toHaveText(`${last + 1} of ${last + 1}`);
    await expect(page.locator("g.packet")).toHaveCount(1);
    await expectAccessible(page);
  });
}

test("the rule that decided is lit in the node's rule book", async ({ page }) => {
  await open(page, { editor: false, cluster: true });
  await deploy(page);
  await ask(page, "http://web");
  const scrub = page.getByRole("slider", { name: "Step of the packet" });
  await scrub.focus();
  await page.keyboard.press("Home");
  const decided = page.locator(".met[data-main] .action");
  const last = Number(await scrub.getAttribute("max"));
  for (let stop = 0; stop < last && !(await decided.filter({ hasText: "dnat" }).count()); stop++) await page.keyboard.press("ArrowRight");
  await page.getByRole("button", { name: "Show in the rule book" }).click();
  await expect(page.locator(".rule[data-current] code")).toContainText("DNAT");
  await expectAccessible(page);
});

test("what is changed in the YAML changes the cluster", async ({ page }) => {
  await open(page, { cluster: true });
  await deploy(page);
  const text = page.locator(".cm-content");
  await text.click();
  await page.keyboard.press("Control+Home");
  const line = page.locator(".cm-line", { hasText: "replicas: 3" });
  await line.click();
  await page.keyboard.press("End");
  await page.keyboard.press("Backspace");
  await page.keyboard.type("5");
  await page.getByRole("button", { name: "Apply" }).click();
  await expect(page.locator(".pod[aria-label^='Pod web-'][data-state=ready]")).toHaveCount(5);
});

test("commands run in the terminal, and their consequences stand in the timeline", async ({ page }) => {
  await open(page, { editor: false, cluster: true });
  expect(await run(page, "kubectl create deployment site --image=nginx")).toContain("deployment.apps/site created");
  await expect(page.locator(".pod[aria-label^='Pod site-'][data-state=ready]")).toHaveCount(1);
  await page.getByRole("tab", { name: "Timeline" }).click();
  await expect(page.locator(".timeline .heads")).toContainText("replicaset-controller");
  await expectAccessible(page);
  await page.getByLabel("As a diagram").uncheck();
  await expect(page.locator(".timeline .events")).toContainText("replicaset-controller");
  await expectAccessible(page);
});

test("bad manifests are refused in the API server's words, and nothing of them is stored", async ({ page }) => {
  await open(page, { editor: false, cluster: true });
  await run(page, "kubectl create deployment Web_1 --image=nginx");
  await expect(page.locator(".entry[data-failed]")).toContainText("a lowercase RFC 1123 subdomain must consist of");
  expect(await run(page, "kubectl get deployments")).toContain("No resources found in default namespace.");
});

test("what is applied while the cluster is still coming up is carried out when it is up", async ({ page }) => {
  let release;
  const held = new Promise((resolve) => (release = resolve));
  await page.route("**/kubarium-worker*_bg.wasm", async (route) => {
    await held;
    await route.continue();
  });
  await open(page);
  await expect(page.getByText("Loading the simulator")).toBeVisible();
  await page.getByRole("button", { name: "Apply" }).click();
  await expect(page.locator(".entry .running")).toBeVisible();
  await expectAccessible(page);
  release();
  await expect(page.locator(".screen")).toContainText("deployment.apps/web created");
  await expect(page.locator(".pod[aria-label^='Pod web-'][data-state=ready]")).toHaveCount(3);
});

test("a simulator that cannot be loaded is told, and can be tried again", async ({ page }) => {
  page.allowErrors();
  await page.route("**/kubarium-worker*_bg.wasm", (route) => route.fulfill({ status: 404, body: "" }));
  await open(page);
  await expect(page.getByText("The simulator could not be loaded")).toBeVisible();
  await expect(page.locator(".starting")).toContainText("404");
  await expectAccessible(page);
  await page.unroute("**/kubarium-worker*_bg.wasm");
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.locator(".room")).toHaveCount(3);
});

test("two packets are compared, and where they part is said", async ({ page }) => {
  await open(page, { editor: false, cluster: true });
  await deploy(page);
  await ask(page, "http://web");
  await page.getByRole("button", { name: "Compare" }).click();
  await ask(page, "http://10.43.0.99", "Timed out");
  await expect(page.locator(".score-of")).toHaveCount(2);
  await expect(page.locator(".parting")).toContainText("Here they part.");
  await expectAccessible(page);
});

test("a packet is copied as Markdown, and its drawing saved", async ({ page, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await open(page, { editor: false, cluster: true });
  await deploy(page);
  await ask(page, "http://web");
  await page.getByRole("button", { name: "Copy as Markdown" }).click();
  await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toContain("### Request");
  for (const kind of ["svg", "png"]) {
    const saved = page.waitForEvent("download");
    await page.locator(".score-of").getByLabel("Save the picture").selectOption(kind);
    expect((await saved).suggestedFilename()).toBe(`kubarium-packet.${kind}`);
  }
});
