// The whole path: two manifests applied, the cluster carrying them out, one request followed to its end.
import { expect, expectAccessible, open, PHONE, test, WIDE } from "./page.mjs";

/** Applies the first manifests, starts a client, and waits until all of it runs. */
async function deploy(page) {
  const tab = page.getByRole("tab", { name: "YAML" });
  if (await tab.isVisible()) await tab.click();
  await page.getByRole("button", { name: "Apply" }).click();
  const pods = page.locator(".pod[aria-label^='Pod web-'][data-state=ready]");
  await expect(pods).toHaveCount(3, { timeout: 20_000 });
}

async function ask(page, target) {
  if (!(await page.locator(".request").isVisible())) await page.getByRole("button", { name: "Send a request" }).click();
  const client = page.getByRole("button", { name: "Start a curl pod" });
  if (await client.isVisible()) {
    await client.click();
    await expect(page.locator(".pod[aria-label^='Pod curl'][data-state=ready]")).toHaveCount(1, { timeout: 20_000 });
  }
  await page.getByLabel("From").selectOption("pod/curl");
  await page.getByLabel("to", { exact: true }).fill(target);
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await expect(page.locator(".verdict")).toContainText("Delivered");
}

for (const [name, size] of [["wide", WIDE], ["phone", PHONE]]) {
  test(`from two manifests to a packet, to its end: ${name}`, async ({ page }) => {
    await open(page, { size, editor: false });
    await deploy(page);
    // Both a server on the client's node and one on another are drawn sooner or later.
    const seen = { same: false, other: false };
    for (let tries = 0; tries < 16 && !(seen.same && seen.other); tries++) {
      await ask(page, "http://web");
      const sentences = await page.locator(".steps .what").allTextContents();
      expect(sentences.length).toBeGreaterThan(20);
      const tunnelled = sentences.some((s) => /VXLAN|encapsulat/i.test(s));
      seen[tunnelled ? "other" : "same"] = true;
      expect(sentences.some((s) => s.includes("10.43.")), "the Service's address is named").toBe(true);
    }
    expect(seen, "same node and across nodes").toEqual({ same: true, other: true });

    // Step by step to the end: each step says something, and the packet is somewhere on the map.
    const scrub = page.getByRole("slider", { name: "Step of the packet" });
    await scrub.focus();
    await page.keyboard.press("Home");
    const last = Number(await scrub.getAttribute("max"));
    for (let step = 0; step < last; step++) {
      await page.keyboard.press("ArrowRight");
      await expect(page.locator(".current .sentence")).not.toBeEmpty();
    }
    await expect(page.locator(".player .count")).toHaveText(`${last + 1} of ${last + 1}`);
    await expect(page.locator("g.packet")).toHaveCount(1);
    await expectAccessible(page);
  });
}

test("the rule that decided is lit in the node's rule book", async ({ page }) => {
  await open(page, { editor: false });
  await deploy(page);
  await ask(page, "http://web");
  const scrub = page.getByRole("slider", { name: "Step of the packet" });
  await scrub.focus();
  await page.keyboard.press("Home");
  const rule = page.locator(".current .rule-met code");
  for (let step = 0; step < 200 && !(await rule.filter({ hasText: "DNAT" }).count()); step++) await page.keyboard.press("ArrowRight");
  await page.getByRole("button", { name: "Show the rule" }).click();
  await expect(page.locator(".rule[data-current] code")).toContainText("DNAT");
  await expectAccessible(page);
});

test("what is changed in the YAML changes the cluster", async ({ page }) => {
  await open(page);
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
  await expect(page.locator(".pod[aria-label^='Pod web-'][data-state=ready]")).toHaveCount(5, { timeout: 20_000 });
});

test("commands run in the terminal, and their consequences stand in the timeline", async ({ page }) => {
  await open(page, { editor: false });
  const prompt = page.getByLabel("Command", { exact: true });
  await expect(page.locator(".room")).toHaveCount(3);
  await prompt.fill("kubectl create deployment site --image=nginx");
  await prompt.press("Enter");
  await expect(page.locator(".screen")).toContainText("deployment.apps/site created");
  await expect(page.locator(".pod[aria-label^='Pod site-'][data-state=ready]")).toHaveCount(1, { timeout: 20_000 });
  await page.getByRole("tab", { name: "Timeline" }).click();
  await expect(page.locator(".timeline .events")).toContainText("replicaset-controller");
  await expectAccessible(page);
  await page.getByRole("tab", { name: "Objects" }).click();
  await page.getByRole("searchbox").fill("deployments.apps default/site");
  await page.getByRole("button", { name: "site", exact: true }).click();
  await expect(page.locator(".card .yaml")).toContainText("kind: Deployment");
  await expectAccessible(page);
});

test("bad manifests are refused in the API server's words, and nothing of them is stored", async ({ page }) => {
  await open(page, { editor: false });
  await expect(page.locator(".room")).toHaveCount(3);
  const prompt = page.getByLabel("Command", { exact: true });
  await prompt.fill("kubectl create deployment Web_1 --image=nginx");
  await prompt.press("Enter");
  await expect(page.locator(".entry[data-failed]")).toContainText("a lowercase RFC 1123 subdomain must consist of");
  await prompt.fill("kubectl get deployments");
  await prompt.press("Enter");
  await expect(page.locator(".screen")).toContainText("No resources found in default namespace.");
});
