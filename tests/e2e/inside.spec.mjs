// What is inside a network namespace: live tables, and the deepest level of the map.
import { ask, deploy } from "./cluster.mjs";
import { expect, expectAccessible, open, PHONE, run, test, WIDE } from "./page.mjs";

test("the tables follow what is selected, say whose each address is, and mark what is new", async ({ page }) => {
  await open(page, { editor: false, cluster: true });
  await deploy(page);
  await page.getByRole("tab", { name: "Network" }).click();
  const panel = page.getByRole("tabpanel", { name: "Network" });
  await page.locator(".pod[aria-label^='Pod curl']").click();
  await expect(panel.locator(".of")).toHaveText("curl");
  await panel.getByRole("tab", { name: /^Routes/ }).click();
  await expect(panel.getByRole("row", { name: /^default/ })).toBeVisible();
  await expectAccessible(page);
  // The pod's node: the one on whose floor it stands.
  const node = await page.evaluate(() => {
    const box = (thing) => thing.getBoundingClientRect();
    const pod = box(document.querySelector(".pod[aria-label^='Pod curl'] > rect"));
    const holds = (room) => room.left < pod.left && room.right > pod.right && room.top < pod.top && room.bottom > pod.bottom;
    const wall = [...document.querySelectorAll(".wall")].find((wall) => holds(box(wall)));
    return wall.getAttribute("aria-label").match(/^Node ([^,]+),/)[1];
  });
  await page.locator(`.wall[aria-label^='Node ${node},']`).click({ position: { x: 60, y: 12 }, force: true });
  await expect(panel.locator(".of")).toHaveText(node);
  for (const table of ["Devices", "Forwarding", "Neighbours", "Sockets", "Chains"]) {
    await panel.getByRole("tab", { name: new RegExp(`^${table}`) }).click();
    await expect(panel.locator("tbody tr").first()).toBeVisible();
  }
  await ask(page, "http://web");
  await page.getByRole("tab", { name: "Network" }).click();
  await panel.getByRole("tab", { name: /^Connections/ }).click();
  const service = panel.getByRole("button", { name: /^10\.43\./ }).first();
  await expect(service).toBeVisible();
  await expect(panel.locator("tr[data-change]").first()).toBeVisible();
  await expectAccessible(page);
  await service.click();
  await expect(page.locator(".card header .chip")).toHaveText("Service");
  // The command that prints the same.
  await panel.getByRole("button", { name: /conntrack -L/ }).click();
  await page.getByRole("tab", { name: "Terminal" }).click();
  await expect(page.locator(".screen")).toContainText("flow entries have been shown");
});

test("on the phone the tables are a part of the details", async ({ page }) => {
  await open(page, { size: PHONE, scheme: "dark", editor: false, cluster: true });
  await run(page, "kubectl create deployment site --image=nginx");
  await run(page, "sim settle");
  await page.locator(".pod[aria-label^='Pod site-']").first().focus();
  await page.keyboard.press("Enter");
  await page.getByRole("tab", { name: "Details" }).click();
  await page.locator(".card").getByRole("tab", { name: "Network" }).click();
  await page.locator(".inside").getByRole("tab", { name: /^Sockets/ }).click();
  await expect(page.locator(".inside tbody")).toContainText("nginx");
  await expectAccessible(page);
});

test("from near by a namespace is read from inside, and nothing has moved", async ({ page }) => {
  await open(page, { size: WIDE, editor: false, cluster: true });
  await deploy(page);
  const find = page.getByRole("searchbox", { name: "Find on the map" });
  await find.fill("curl");
  await find.press("Enter");
  const nearer = page.getByRole("button", { name: "Nearer" });
  while ((await page.locator(".canvas").getAttribute("data-depth")) !== "inside") await nearer.click();
  const inside = page.getByRole("group", { name: "Network namespace of default/curl" });
  await expect(inside).toContainText("Routes");
  await expect(inside).toContainText("default via 10.42.");
  const size = await inside.locator("text").first().evaluate((text) => text.getBoundingClientRect().height);
  expect(size, "letters that can be read").toBeGreaterThanOrEqual(11);
  await expectAccessible(page);
});

test("labels, kinds and namespaces filter the map", async ({ page }) => {
  await open(page, { editor: false, cluster: true });
  await deploy(page);
  const find = page.getByRole("searchbox", { name: "Find on the map" });
  const lit = page.locator(".pod:not([data-dim])");
  await find.fill("app in (web,other)");
  await expect(lit).toHaveCount(3);
  await find.fill("app=web,(");
  await expect(page.locator(".found")).toContainText("No selector");
  await expectAccessible(page);
  await find.fill("");
  await page.getByRole("combobox", { name: "Kind" }).selectOption("Service");
  await expect(lit).toHaveCount(0);
  await expect(page.locator(".service:not([data-dim])")).toHaveCount(3);
  await page.getByRole("combobox", { name: "Kind" }).selectOption("Deployment");
  await expect(lit).toHaveCount(5);
  await page.getByRole("combobox", { name: "Kind" }).selectOption("");
  await page.locator(".service[aria-label*='default/web ']").hover();
  await expect(page.locator(".endpoints[data-lit] .ring")).toHaveCount(3);
});
