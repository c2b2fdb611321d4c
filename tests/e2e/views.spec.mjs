// The views beside map and lane: objects, what is selected, the control loop, the palette, a terminal that goes on.
import { expect, expectAccessible, open, PHONE, run, test, WIDE } from "./page.mjs";

for (const [name, size, scheme] of [["wide", WIDE, "light"], ["phone", PHONE, "dark"]]) {
  test(`an object is found, looked at from all sides, and its relatives with it: ${name}`, async ({ page }) => {
    await open(page, { size, scheme, editor: false, cluster: true });
    await run(page, "kubectl create deployment site --image=nginx --replicas=2");
    await run(page, "sim settle");
    await page.getByRole("tab", { name: "Objects" }).click();
    await page.getByRole("button", { name: /^Deployment/ }).click();
    await expect(page.locator(".stored thead")).toContainText("Up-to-date");
    await page.getByRole("button", { name: "site", exact: true }).click();
    if (size === PHONE) await page.getByRole("tab", { name: "Details" }).click();
    const card = page.locator(".card");
    await expect(card.locator(".aims li").filter({ hasText: /replicas\s*2 of 2/ })).toBeVisible();
    await expect(card.locator(".aims .whole")).toHaveText("As wanted");
    await expect(card.locator(".family li")).toHaveText([/^Deployment/, /^ReplicaSet/, /^Pod/, /^Pod/]);
    await expectAccessible(page);
    for (const [part, text] of [["YAML", "kind: Deployment"], ["Describe", "StrategyType:"], ["History", "status.readyReplicas"]]) {
      await card.getByRole("tab", { name: part }).click();
      await expect(card).toContainText(text);
      await expectAccessible(page);
    }
    await card.getByRole("tab", { name: "About" }).click();
    await card.locator(".family button").last().click();
    await expect(card.locator("h2")).toContainText("site-");
    await expect(card.locator(".family [aria-current]")).toContainText("Pod");
  });
}

test("the control loop is drawn, and a message leads back to its moment", async ({ page }) => {
  await open(page, { editor: false, cluster: true });
  await run(page, "kubectl create deployment site --image=nginx");
  await run(page, "sim settle");
  await page.getByRole("tab", { name: "Timeline" }).click();
  await page.getByLabel("Events set off by").selectOption({ label: "kubectl create deployment site --image=nginx" });
  const heads = page.locator(".sequence .head strong");
  await expect(heads.nth(0)).toHaveText("kubectl");
  await expect(heads.nth(1)).toHaveText("kube-apiserver");
  await expect(heads.filter({ hasText: "kube-scheduler" })).toHaveCount(1);
  await page.getByRole("button", { name: /create pods default\/site-/ }).press("Enter");
  const why = page.getByRole("region", { name: "Why this happened" });
  await expect(why.getByRole("listitem").first()).toContainText("kubectl create deployment site");
  await expect(page.locator(".message[data-dim]").first()).toBeAttached();
  await expectAccessible(page);
  const saved = page.waitForEvent("download");
  await page.locator(".loop").getByLabel("Save the picture").selectOption("png");
  expect((await saved).suggestedFilename()).toBe("kubarium-timeline.png");
  await why.getByRole("button", { name: "Go back to this moment" }).click();
  await expect(page.locator(".pod[aria-label^='Pod site-'][data-state=ready]")).toHaveCount(0);
  await expect(page.getByRole("button", { name: "Run", exact: true })).toBeVisible();
});

test("the palette finds what is there and what can be done, by keyboard alone", async ({ page }) => {
  await open(page, { editor: false, cluster: true });
  await page.keyboard.press("Control+k");
  await expect(page.getByRole("combobox", { name: "Command palette" })).toBeFocused();
  await expectAccessible(page);
  await page.keyboard.type("worker-2");
  await page.keyboard.press("Enter");
  await expect(page.locator(".card h2")).toHaveText("worker-2");
  await page.keyboard.press("Control+k");
  await page.keyboard.type("kubectl get nodes");
  await page.keyboard.press("Enter");
  await expect(page.locator(".screen")).toContainText("control-plane");
  // Where one has asked to go the keys go too.
  await page.keyboard.press("Control+k");
  await page.keyboard.type("objects");
  await page.keyboard.press("Enter");
  await expect(page.locator("#panel-objects :focus")).toHaveCount(1);
  await page.keyboard.press("Control+k");
  await page.keyboard.type("terminal");
  await page.keyboard.press("Enter");
  await expect(page.getByLabel("Command", { exact: true })).toBeFocused();
  await page.keyboard.press("Control+k");
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog", { name: "Command palette" })).toBeHidden();
});

test("the keys go along into a panel that has nothing in it yet", async ({ page }) => {
  await open(page, { editor: false, cluster: true, size: PHONE });
  await page.keyboard.press("Control+k");
  await page.keyboard.type("inspector");
  await page.keyboard.press("Enter");
  await expect(page.locator("#panel-inspector").and(page.locator(":focus, :has(:focus)"))).toHaveCount(1);
});

for (const [name, size, scheme] of [["wide", WIDE, "light"], ["phone", PHONE, "dark"]]) {
  test(`the question mark lists the keys, and the palette has them and the theme: ${name}`, async ({ page }) => {
    await open(page, { size, scheme, editor: false, cluster: true });
    const list = page.getByRole("dialog", { name: "Keyboard shortcuts" });
    await page.locator(".canvas .wall").first().press("?");
    await expect(list).toContainText("Ctrl Space");
    await expectAccessible(page);
    await page.keyboard.press("Escape");
    await expect(list).toBeHidden();
    // Where letters are typed it is one.
    await page.getByRole("searchbox", { name: "Find on the map" }).press("?");
    await expect(page.getByRole("searchbox", { name: "Find on the map" })).toHaveValue("?");
    await expect(list).toBeHidden();
    await page.keyboard.press("Control+k");
    await page.keyboard.type("keyboard");
    await page.keyboard.press("Enter");
    await expect(list).toBeVisible();
    await page.keyboard.press("Escape");
    const other = scheme === "light" ? "Dark" : "Light";
    await page.keyboard.press("Control+k");
    await page.keyboard.type(`theme: ${other}`);
    await page.keyboard.press("Enter");
    await expect(page.locator("html")).toHaveAttribute("data-theme", other.toLowerCase());
    await page.getByLabel("Settings").first().click();
    await expect(page.getByRole("radio", { name: other })).toBeChecked();
    await page.getByRole("button", { name: "Keyboard shortcuts" }).click();
    await expect(list).toBeVisible();
  });
}

test("a command that watches goes on until it is stopped", async ({ page }) => {
  await open(page, { editor: false, cluster: true });
  const prompt = page.getByLabel("Command", { exact: true });
  await prompt.fill("kubectl get pods -w");
  await prompt.press("Enter");
  await expect(page.locator(".entry .running")).toBeVisible();
  await page.getByRole("tab", { name: "YAML", exact: true }).or(page.getByRole("region", { name: "Manifests" })).first().click();
  await expectAccessible(page);
  await prompt.press("Control+c");
  await expect(page.locator(".entry .running")).toHaveCount(0);
});

test("Tab completes a command line, and what a click has run is in the history", async ({ page }) => {
  await open(page, { editor: false, cluster: true });
  const prompt = page.getByLabel("Command", { exact: true });
  await prompt.fill("kubectl descr");
  await prompt.press("Tab");
  await expect(prompt).toHaveValue("kubectl describe ");
  await prompt.pressSequentially("node worker-");
  await prompt.press("Tab");
  await expect(page.getByRole("list", { name: "What could stand here" }).getByRole("listitem")).toHaveCount(2);
  await expectAccessible(page);
  await page.getByRole("button", { name: "worker-2", exact: true }).click();
  await expect(prompt).toHaveValue("kubectl describe node worker-2 ");
  await prompt.fill("");
  await page.getByRole("button", { name: "kubectl get pods -o wide" }).click();
  await prompt.press("ArrowUp");
  await expect(prompt).toHaveValue("kubectl get pods -o wide");
});

test("a view whose part cannot be loaded says so, and can be tried again", async ({ page }) => {
  page.allowErrors();
  const parts = "**/split_views.wasm";
  await page.route(parts, (route) => route.abort());
  await open(page, { cluster: true });
  await page.getByRole("tab", { name: "Objects" }).click();
  const told = page.locator("#panel-objects [role=alert]");
  await expect(told).toContainText("could not be loaded");
  await page.unroute(parts);
  // Another view may have asked for it again by now, and then there is nothing to click.
  await told.getByRole("button", { name: "Try again" }).click({ timeout: 5_000 }).catch(() => {});
  await expect(page.getByRole("cell", { name: "kube-dns" }).first()).toBeVisible();
});

test("what is missing is plain at a glance, with why and who acts next", async ({ page }) => {
  await open(page, { editor: false, cluster: true });
  await page.getByRole("button", { name: "Pause", exact: true }).click();
  await run(page, "kubectl create deployment site --image=nginx --replicas=3; sim advance 400ms");
  await page.locator(".pod[aria-label^='Pod site-']").first().click();
  await page.locator(".card .family button").first().click();
  const card = page.locator(".card");
  await expect(card.locator(".aims .whole")).toContainText("not as wanted");
  await expect(card.locator(".aims li").filter({ hasText: "ready" }).locator("[data-kind=missing]")).toHaveCount(3);
  await expect(card.locator(".lacks li")).toHaveCount(3);
  await expect(card.locator(".next")).toContainText("kubelet worker-");
  await expectAccessible(page);
});
