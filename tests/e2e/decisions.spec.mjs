// Why it is so: the scheduler's decision as a table, a node's rules by Service, as text and by what changed.
import { readFile } from "node:fs/promises";
import { ask, deploy } from "./cluster.mjs";
import { expect, expectAccessible, open, PHONE, run, test, WIDE } from "./page.mjs";

for (const [name, size, scheme] of [["wide", WIDE, "light"], ["phone", PHONE, "dark"]]) {
  test(`a decision is a table of nodes by filters and scores: ${name}`, async ({ page }) => {
    await open(page, { size, scheme, editor: false, cluster: true });
    await run(page, "kubectl create deployment site --image=nginx");
    await run(page, "kubectl run huge --image=nginx --overrides='{\"spec\":{\"containers\":[{\"name\":\"huge\",\"image\":\"nginx\",\"resources\":{\"requests\":{\"cpu\":\"1000\"}}}]}}'");
    await run(page, "sim settle");
    await page.getByRole("tab", { name: "Scheduling" }).click();
    const recent = page.getByRole("navigation", { name: "The latest decisions" });
    await recent.getByRole("button", { name: /default\/site-/ }).click();
    const table = page.getByRole("table", { name: "Nodes by filters and scores" });
    await expect(table.locator("[data-chosen]")).toContainText("chosen");
    await expect(table.getByRole("row", { name: /control-plane/ })).toContainText("untolerated taint");
    await expectAccessible(page);
    await recent.getByRole("button", { name: /default\/huge/ }).click();
    await expect(page.locator(".verdict-of")).toContainText("0/3 nodes are available");
    await expect(table.locator("[data-verdict=no]")).toHaveCount(3);
    await expectAccessible(page);
    await page.locator(".verdict-of").getByRole("button", { name: "default/huge" }).click();
    await page.getByRole("tab", { name: "Rules" }).click();
    if (size === PHONE) await page.getByRole("tab", { name: "Details" }).click();
    await page.getByRole("button", { name: "How the scheduler decided" }).click();
    await expect(page.locator(".verdict-of")).toContainText("0/3 nodes are available");
  });

  test(`rules are found by Service, shown as text, and by what changed: ${name}`, async ({ page }) => {
    await open(page, { size, scheme, editor: false, cluster: true });
    await deploy(page);
    await page.getByRole("tab", { name: "Rules" }).click();
    await page.locator(".rules input[type=search]").fill("default/web");
    await expect(page.locator(".chain .name").filter({ hasText: "KUBE-SERVICES" })).toBeVisible();
    await expect(page.locator(".rule").filter({ hasText: "kube-system" })).toHaveCount(0);
    await expectAccessible(page);
    await page.locator(".rule").getByRole("button", { name: "default/web" }).first().click();
    await page.getByRole("tab", { name: "Rules" }).click();
    await page.getByRole("button", { name: "Text", exact: true }).click();
    await expect(page.locator(".raw")).toContainText('--comment "default/web cluster IP"');
    await expectAccessible(page);
    await page.locator(".rules input[type=search]").fill("");
    await page.getByRole("button", { name: "Changes", exact: true }).click();
    await expect(page.locator(".rules .diff")).toContainText("default/web cluster IP");
    await expectAccessible(page);
  });
}

test("the way of a packet is lit in the chains, and its jumps lead on", async ({ page }) => {
  await open(page, { size: WIDE, editor: false, cluster: true });
  await deploy(page);
  await ask(page, "http://web");
  await page.getByRole("tab", { name: "Rules" }).click();
  await expect(page.locator(".chain[data-lit]").first()).toBeVisible();
  await expect(page.locator(".chain:not([data-lit])")).toHaveCount(0);
  await expect(page.getByRole("link", { name: /^Go to KUBE-SVC/ }).first()).toBeVisible();
  await expectAccessible(page);
  const picture = async (kind) => {
    const saved = page.waitForEvent("download");
    await page.locator(".rules").getByLabel("Save the picture").selectOption(kind);
    const download = await saved;
    expect(download.suggestedFilename()).toBe(`kubarium-rules.${kind}`);
    return readFile(await download.path());
  };
  const svg = String(await picture("svg"));
  expect(svg).toContain("KUBE-SERVICES");
  expect(svg).toContain("<rect");
  expect((await picture("png")).subarray(1, 4).toString()).toBe("PNG");
});

test("all chains of a small cluster are shown, and a rule is deleted from its row", async ({ page }) => {
  await open(page, { size: WIDE, editor: false, cluster: true });
  await page.getByRole("tab", { name: "Rules" }).click();
  await expect(page.locator(".chain h2").filter({ hasText: "nothing leads here" }).first()).toBeVisible();
  await expect(page.locator(".rules > .note")).toHaveCount(0);
  await page.getByRole("button", { name: "What can be done with rule 1" }).first().click();
  const menu = page.getByRole("menu");
  await expect(menu).toContainText("sim fault rule worker-1 nat PREROUTING 1");
  await expectAccessible(page);
  await menu.getByRole("menuitem", { name: /^Delete the rule/ }).click();
  await expect(page.getByText("1 fault")).toBeVisible();
});
