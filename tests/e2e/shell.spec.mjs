// The shell: it loads clean, in both themes and all sizes, and is worked by keyboard and by pointer.
import { expect, expectAccessible, LAPTOP, open, PHONE, run, test, WIDE } from "./page.mjs";

// A laptop at 200 % zoom is a window of half its size.
const SIZES = { wide: WIDE, laptop: LAPTOP, phone: PHONE, zoomed: { width: 720, height: 450 } };

for (const [name, size] of Object.entries(SIZES)) {
  for (const scheme of ["light", "dark"]) {
    test(`loads clean and accessible: ${name}, ${scheme}`, async ({ page }) => {
      await open(page, { size, scheme });
      await expectAccessible(page);
    });
  }

  test(`fits the window without scrolling: ${name}`, async ({ page }) => {
    await open(page, { size });
    const over = await page.evaluate(() => {
      const { scrollWidth, scrollHeight } = document.documentElement;
      return [scrollWidth - innerWidth, scrollHeight - innerHeight];
    });
    expect(over).toEqual([0, 0]);
    for (const tab of await page.getByRole("tab").all()) {
      const box = await tab.boundingBox();
      expect(box.x).toBeGreaterThanOrEqual(0);
      expect(box.x + box.width).toBeLessThanOrEqual(size.width);
    }
  });
}

test("works from a folder of any name", async ({ page, baseURL, request }) => {
  // The same files under another path, as a static host would serve them.
  await page.route("**/some/folder/**", async (route) => {
    const url = route.request().url().replace("/some/folder/", "/");
    await route.fulfill({ response: await request.get(url) });
  });
  await page.setViewportSize(WIDE);
  await page.goto(new URL("some/folder/", baseURL).href);
  await expect(page.locator(".cm-content")).toBeVisible();
  // All of it is there, the simulator too.
  await expect(page.locator(".room")).toHaveCount(3);
  // So are the views that come later; and nothing more is asked for when the way there is taken down.
  await expect(page.locator(".gallery")).toBeVisible();
  await page.keyboard.press("Escape");
  await page.getByRole("tab", { name: "Objects" }).click();
  await expect(page.locator(".resources button").first()).toBeVisible();
  await page.goto("about:blank");
  await page.unrouteAll({ behavior: "wait" });
});

test("the theme follows the system until one is chosen, and that one is kept", async ({ page }) => {
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await open(page, { scheme: "light" });
  const light = await ground();
  await page.emulateMedia({ colorScheme: "dark" });
  const dark = await ground();
  expect(dark).not.toBe(light);
  await page.getByLabel("Settings").first().click();
  await page.getByRole("radio", { name: "Light" }).check();
  expect(await ground()).toBe(light);
  await page.reload();
  await page.getByLabel("Settings").first().click();
  await expect(page.getByRole("radio", { name: "Light" })).toBeChecked();
  expect(await ground()).toBe(light);
  await page.getByRole("radio", { name: "As the system" }).check();
  expect(await ground()).toBe(dark);
});

for (const size of [WIDE, PHONE]) {
  test(`Tab reaches everything that can be worked, and the focus is seen: ${size.width}`, async ({ page }) => {
    await open(page, { size });
    const unseen = [];
    const met = new Set();
    for (let i = 0; i < 120; i++) {
      await page.keyboard.press("Tab");
      const look = () => page.evaluate(() => {
        let element = document.activeElement;
        while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
        if (!element || element === document.body) return null;
        const seen = (e) => {
          const style = getComputedStyle(e);
          const after = getComputedStyle(e, "::after");
          const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
          const drawn = e instanceof SVGElement && [...e.children].some((shape) => parseFloat(getComputedStyle(shape).strokeWidth) >= 2);
          return outlined || drawn || (e.classList.contains("splitter") && after.opacity === "1");
        };
        const editor = element.closest(".cm-editor");
        const label = element.closest("label");
        const name = element.getAttribute("aria-label") ?? label?.title ?? element.textContent.trim();
        return { name, seen: seen(element) || (editor && seen(editor)) || (label && seen(label)) };
      });
      let at = await look();
      // The editor marks its focus a moment after it has it.
      for (let wait = 0; at && !at.seen && wait < 10; wait++) {
        await page.waitForTimeout(100);
        at = await look();
      }
      if (!at) break;
      met.add(at.name);
      if (!at.seen) unseen.push(at.name);
    }
    expect(unseen).toEqual([]);
    const least = size === WIDE ? ["Go to the map", "Settings", "YAML manifests", "Terminal"] : ["YAML manifests", "Settings"];
    for (const name of least) expect([...met]).toContain(name);
  });
}

test("a panel's width is set by keys and by pointer, within its limits, and kept", async ({ page }) => {
  await open(page);
  const splitter = page.getByRole("separator", { name: "Width of Manifests" });
  const width = async () => Math.round((await page.locator("#panel-files").boundingBox()).width);
  const first = await width();
  await splitter.focus();
  await page.keyboard.press("ArrowRight");
  expect(await width()).toBe(first + 16);
  await page.keyboard.press("Home");
  expect(await width()).toBe(Number(await splitter.getAttribute("aria-valuemin")));
  await page.keyboard.press("End");
  expect(await width()).toBe(Number(await splitter.getAttribute("aria-valuemax")));

  const edge = (await page.locator("#panel-files").boundingBox()).width;
  await page.mouse.move(edge, 300);
  await page.mouse.down();
  await page.mouse.move(500, 320, { steps: 4 });
  await page.mouse.up();
  const dragged = await width();
  expect(Math.abs(dragged - 500)).toBeLessThanOrEqual(4);
  await page.reload();
  await expect(page.locator(".cm-content")).toBeVisible();
  expect(await width()).toBe(dragged);
});

test("side panels fold to a rail and come back", async ({ page }) => {
  await open(page);
  await page.getByRole("button", { name: "Fold Manifests away" }).click();
  await expect(page.locator(".cm-content")).toBeHidden();
  await expectAccessible(page);
  await page.getByRole("button", { name: "Open Manifests" }).click();
  await expect(page.locator(".cm-content")).toBeVisible();
  await page.getByRole("button", { name: "Open Inspector" }).click();
  await expect(page.getByRole("region", { name: "Inspector" })).toBeVisible();
  await expectAccessible(page);
});

test("tabs are chosen by arrow keys, and the panels below fold", async ({ page }) => {
  await open(page);
  await page.getByRole("tab", { name: "Terminal" }).focus();
  await page.keyboard.press("ArrowRight");
  await expect(page.getByRole("tab", { name: "Timeline" })).toBeFocused();
  await expect(page.getByRole("tabpanel", { name: "Timeline" })).toBeVisible();
  await page.keyboard.press("End");
  await expect(page.getByRole("tabpanel", { name: "Scheduling" })).toBeVisible();
  await page.getByRole("button", { name: "Fold Scheduling away" }).click();
  await expect(page.getByRole("tabpanel")).toHaveCount(0);
  await page.getByRole("tab", { name: "Rules" }).click();
  await expect(page.getByRole("tabpanel", { name: "Rules" })).toBeVisible();
});

test("in a low window the map has the room, and the panels are a tap away", async ({ page }) => {
  await open(page, { size: { width: 1000, height: 480 }, editor: false, cluster: true });
  await expect(page.getByRole("tabpanel")).toHaveCount(0);
  expect((await page.locator(".canvas").boundingBox()).height).toBeGreaterThan(300);
  await page.getByRole("tab", { name: "Terminal" }).click();
  await expect(page.getByLabel("Command", { exact: true })).toBeVisible();
});

test("on the phone every panel is a tab of the sheet", async ({ page }) => {
  await open(page, { size: PHONE });
  const file = await page.getByRole("tablist", { name: "Files" }).getByRole("tab").first().boundingBox();
  expect(file.height, "room for a thumb").toBeGreaterThanOrEqual(44);
  for (const tab of await page.getByRole("tablist", { name: "Panels" }).getByRole("tab").all()) {
    await tab.click();
    await expect(page.getByRole("tabpanel")).toHaveCount(1);
    await expectAccessible(page);
    const { height } = await tab.boundingBox();
    expect(height, "room for a thumb").toBeGreaterThanOrEqual(44);
  }
});

test("a page that cannot load its module says so and what to do", async ({ page }) => {
  page.allowErrors();
  await page.route("**/*.wasm", (route) => route.abort());
  await page.goto("./");
  await expect(page.getByRole("alertdialog", { name: "Kubarium has stopped" })).toBeVisible();
  await expect(page.getByRole("button", { name: "Reload", exact: true })).toBeFocused();
  await expectAccessible(page);
});

test("what stops is told, and the cluster as it was is there after a reload, or a new one", async ({ page }) => {
  page.allowErrors();
  await open(page, { editor: false, cluster: true });
  await run(page, "kubectl create deployment kept --image=nginx; sim settle");
  await expect.poll(() => page.evaluate(() => localStorage.getItem("kubarium/1/work") ?? ""), { timeout: 15_000 }).toContain("kept");
  const stop = () => page.evaluate(() => dispatchEvent(new ErrorEvent("error", { error: new WebAssembly.RuntimeError("unreachable") })));
  const told = page.getByRole("alertdialog", { name: "Kubarium has stopped" });
  await stop();
  await expect(told).toContainText("unreachable");
  await expectAccessible(page);
  await told.getByRole("button", { name: "Reload", exact: true }).click();
  const pods = page.locator(".pod[aria-label^='Pod kept-']");
  await expect(pods).toHaveCount(1);
  await stop();
  await told.getByRole("button", { name: "Reload with a new cluster" }).click();
  await expect(page.locator(".room")).toHaveCount(3);
  await expect(pods).toHaveCount(0);
  await expect(page.locator(".cm-content")).toContainText("Three web servers");
});
