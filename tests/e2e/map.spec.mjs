// The map: moved, searched, come nearer to, with much on it, and as a picture.
import { deploy } from "./cluster.mjs";
import { expect, expectAccessible, open, PHONE, run, test, WIDE } from "./page.mjs";

const depth = (page) => page.locator(".canvas").getAttribute("data-depth");

test("coming nearer adds what is inside, and moves nothing", async ({ page }) => {
  await open(page, { editor: false, cluster: true });
  await deploy(page);
  const places = () => page.locator(".pod > rect").evaluateAll((all) => all.map((r) => `${r.getAttribute("x")} ${r.getAttribute("y")}`));
  const before = await places();
  const nearer = page.getByRole("button", { name: "Nearer" });
  while ((await depth(page)) !== "namespace") await nearer.click();
  await expect(page.locator(".pod .fine").filter({ hasText: "nginx:1.29" })).toHaveCount(3);
  expect(await places()).toEqual(before);
  const farther = page.getByRole("button", { name: "Farther" });
  while ((await depth(page)) !== "cluster") await farther.click();
  await expect(page.locator(".pod .name").first()).toBeHidden();
  expect(await places()).toEqual(before);
  await expectAccessible(page);
});

test("what is looked for stands out, and Enter goes there", async ({ page }) => {
  await open(page, { editor: false, cluster: true });
  await deploy(page);
  const find = page.getByRole("searchbox", { name: "Find on the map" });
  await find.fill("app=web");
  await expect(page.locator(".found")).toHaveText("3 pods");
  await expect(page.locator(".pod:not([data-dim])")).toHaveCount(3);
  await find.press("Enter");
  await expect(page.locator(".pod[data-selected]")).toHaveCount(1);
  await expect(page.locator(".card h2")).toContainText("web-");
  await find.fill("");
  await page.getByRole("combobox", { name: "Namespace" }).selectOption("kube-system");
  await expect(page.locator(".found")).toHaveText("2 pods");
  await expectAccessible(page);
});

test("very many pods become cells, and one line stands for all endpoints of a room", async ({ page }) => {
  await open(page, { editor: false, cluster: true });
  await deploy(page);
  await run(page, "kubectl scale deployment web --replicas=100");
  await run(page, "sim settle");
  await expect(page.locator(".pod[data-state=ready]")).toHaveCount(103);
  await expect(page.locator(".endpoint[data-bundle]")).toHaveCount(2);
  await expectAccessible(page);
});

test("the map is saved as a picture", async ({ page }) => {
  await open(page, { editor: false, cluster: true });
  const saved = page.waitForEvent("download");
  await page.locator(".map-tools").getByLabel("Save the picture").selectOption("svg");
  expect((await saved).suggestedFilename()).toBe("kubarium-map.svg");
});

test("time is stepped back over what a command did", async ({ page }) => {
  await open(page, { editor: false, cluster: true });
  await run(page, "kubectl run one --image=nginx");
  await expect(page.locator(".pod[aria-label^='Pod one']")).toHaveCount(1);
  const back = page.getByRole("button", { name: "Step back" });
  while (await page.locator(".pod[aria-label^='Pod one']").count()) {
    const now = await page.locator(".clock output").textContent();
    await back.click();
    await expect(page.getByRole("button", { name: "Run", exact: true }), now).toBeVisible();
  }
});

test("on a phone the search brings its choices", async ({ page }) => {
  await open(page, { size: PHONE, editor: false, cluster: true });
  const namespace = page.getByRole("combobox", { name: "Namespace" });
  await expect(namespace).toBeHidden();
  await page.getByRole("searchbox", { name: "Find on the map" }).click();
  await namespace.selectOption("kube-system");
  await expect(page.locator(".found")).toHaveText("2 pods");
  await expect(page.getByRole("combobox", { name: "Kind" })).toBeVisible();
  await expectAccessible(page);
  await namespace.selectOption("");
  await page.locator(".canvas").click({ position: { x: 4, y: 200 } });
  await expect(namespace).toBeHidden();
});

test("letters are drawn anew when the hand rests, and what is under it stays there", async ({ page }) => {
  await open(page, { editor: false, cluster: true });
  const canvas = page.locator(".canvas");
  const pod = page.locator(".wall").nth(1);
  const box = await pod.boundingBox();
  const [x, y] = [box.x + 20, box.y + 20];
  await page.mouse.move(x, y);
  await page.mouse.wheel(0, -200);
  await expect(canvas).not.toHaveAttribute("data-moving");
  const nearer = await pod.boundingBox();
  const factor = nearer.width / box.width;
  expect(factor).toBeGreaterThan(1.4);
  expect(nearer.x + 20 * factor).toBeCloseTo(x, 0);
  expect(nearer.y + 20 * factor).toBeCloseTo(y, 0);
});

for (const [name, size, scheme] of [["wide", WIDE, "light"], ["phone", PHONE, "dark"]]) {
  test(`the map is read as a tree, by keyboard alone: ${name}`, async ({ page }) => {
    await open(page, { size, scheme, editor: false, cluster: true });
    await deploy(page);
    await page.getByRole("button", { name: "The map as a tree" }).press("Enter");
    const tree = page.getByRole("tree", { name: "The map as a tree" });
    const item = (text) => tree.getByRole("treeitem").filter({ hasText: text });
    await expect(page.locator(".canvas")).toBeHidden();
    await expect(item("kube-scheduler")).toContainText("0 pods waiting");
    await expect(item(/^worker-1/)).toContainText("10.42.1.0/24");
    await expect(item(/^web-/)).toHaveCount(3);
    await expect(item(/^web-/).first()).toContainText("answers for web");
    await expectAccessible(page);
    // Down to the containers of a pod, and back.
    await tree.getByRole("treeitem").first().focus();
    await page.keyboard.press("End");
    await expect(tree.getByRole("treeitem").last()).toBeFocused();
    const pod = tree.locator("[data-thing='pod:default/curl']");
    await pod.click();
    await page.keyboard.press("ArrowRight");
    await expect(item(/curlimages\/curl/)).toHaveCount(1);
    await page.keyboard.press("ArrowRight");
    await expect(item(/^eth0/).filter({ hasText: "to veth" })).toBeFocused();
    await page.keyboard.press("ArrowLeft");
    await expect(pod).toBeFocused();
    await page.keyboard.press("ArrowLeft");
    await expect(item(/curlimages\/curl/)).toHaveCount(0);
    // What is chosen here is chosen everywhere, and has its menu.
    await page.keyboard.press("Enter");
    await expect(pod).toHaveAttribute("aria-selected", "true");
    await page.keyboard.press("Shift+F10");
    await expect(page.getByRole("menu", { name: "curl" })).toContainText("sim fault kill default/curl");
    await page.keyboard.press("Escape");
    await run(page, "kubectl delete pod curl --now");
    await expect(pod).toHaveCount(0);
    await page.getByRole("button", { name: "The map as a tree" }).click();
    await expect(page.locator(".canvas")).toBeVisible();
  });
}

test("the whole map is shown again when its room changes", async ({ page }) => {
  await open(page, { editor: false, cluster: true });
  const whole = async () => {
    const [canvas, corridor] = [await page.locator(".canvas").boundingBox(), await page.locator(".corridor").boundingBox()];
    return corridor.y + corridor.height <= canvas.y + canvas.height;
  };
  await expect.poll(whole).toBe(true);
  await page.getByRole("button", { name: "Line of time" }).click();
  await expect(page.getByRole("region", { name: "Line of time" })).toBeVisible();
  await expect.poll(whole).toBe(true);
});
