// Faults: broken from anything drawn, by pointer, finger and keyboard; seen on the map and in a list; mended.
import { deploy } from "./cluster.mjs";
import { expect, expectAccessible, open, PHONE, run, test, WIDE } from "./page.mjs";

const marks = (page) => page.locator(".fault");

for (const [name, size, scheme] of [["wide", WIDE, "light"], ["phone", PHONE, "dark"]]) {
  test(`a component is stopped from its menu, and mended in the list: ${name}`, async ({ page }) => {
    await open(page, { size, scheme, editor: false, cluster: true });
    await page.getByRole("button", { name: /^kubelet/ }).first().click({ button: "right" });
    const menu = page.getByRole("menu", { name: "kubelet" });
    await expect(menu).toContainText("sim fault stop kubelet control-plane");
    await expectAccessible(page);
    await menu.getByRole("menuitem", { name: /^Stop/ }).click();
    await expect(menu).toHaveCount(0);
    await expect(marks(page)).toHaveCount(1);
    await expect(page.getByRole("button", { name: "kubelet failing" })).toHaveCount(1);
    await page.getByText("1 fault").click();
    await expect(page.getByRole("group", { name: "What is broken" })).toContainText("kubelet control-plane is stopped");
    await expectAccessible(page);
    await page.getByRole("button", { name: "Mend", exact: true }).click();
    await expect(marks(page)).toHaveCount(0);
    await expect(page.getByText("1 fault")).toHaveCount(0);
    // Each click teaches its command.
    await page.getByRole("tab", { name: "Terminal" }).click();
    await expect(page.locator(".typed")).toHaveText([/sim fault stop kubelet control-plane/, /sim fault mend 1/]);
  });
}

test("everything that is drawn has a menu, by keyboard alone", async ({ page }) => {
  await open(page, { editor: false, cluster: true });
  await deploy(page);
  const things = [
    [".pod[aria-label^='Pod web-']", "sim fault kill default/web-"],
    [".wall", "kubectl drain"],
    [".service[aria-label*='default/web ']", "kubectl delete service web"],
    [".device[aria-label^='eth0']", "sim fault link down control-plane"],
    [".desk", "sim fault stop kube-apiserver"],
    ["g.host", "sim fault registry"],
  ];
  for (const [thing, command] of things) {
    await page.locator(thing).first().focus();
    await page.keyboard.press("Shift+F10");
    const menu = page.getByRole("menu");
    await expect(menu).toContainText(command);
    await page.keyboard.press("ArrowDown");
    await expect(menu.getByRole("menuitem").nth(1)).toBeFocused();
    await page.keyboard.press("Escape");
    await expect(menu).toHaveCount(0);
    await expect(page.locator(thing).first()).toBeFocused();
  }
  await page.locator(".pod[aria-label^='Pod web-']").first().focus();
  await page.keyboard.press("Shift+F10");
  await page.getByRole("menuitem", { name: /^Pull the cable/ }).press("Enter");
  await expect(marks(page)).toHaveCount(1);
  await expect(page.locator(".screen")).toContainText("the network card of pod default/web-");
});

test("what is broken stands on the card, and a cable has a menu too", async ({ page }) => {
  await open(page, { editor: false, cluster: true });
  await deploy(page);
  await run(page, "sim fault cut worker-1");
  await page.locator(".fixture", { hasText: "kubelet" }).nth(1).click();
  const card = page.locator(".card");
  await expect(card).toContainText("node worker-1 is cut off from the API server");
  await expectAccessible(page);
  await card.getByRole("button", { name: /^Mend/ }).click();
  await expect(card).not.toContainText("Broken now");
  await page.locator(".cable .grip").first().click({ button: "right", force: true });
  await expect(page.getByRole("menu", { name: "eth0" })).toContainText("sim fault link down pod/");
});
