// Time: its speed, the past and what is changed there, long work that can be stopped.
import { expect, expectAccessible, open, PHONE, run, test, WIDE } from "./page.mjs";

const seconds = async (page) => {
  const [h, m, s] = (await page.locator(".clock output").textContent()).split(":").map(Number);
  return (h * 60 + m) * 60 + s;
};

for (const [name, size, scheme] of [["wide", WIDE, "light"], ["phone", PHONE, "dark"]]) {
  test(`the past is scrubbed, a change there makes a branch, and both are kept: ${name}`, async ({ page }) => {
    await open(page, { size, scheme, editor: false, cluster: true });
    await run(page, "kubectl create deployment one --image=nginx");
    await run(page, "sim advance 10m");
    await run(page, "kubectl create deployment two --image=nginx");
    await run(page, "sim settle");
    await page.getByRole("button", { name: "Line of time" }).click();
    const line = page.getByRole("region", { name: "Line of time" });
    await expect(line.locator(".tick[data-kind=command]")).toHaveCount(4);
    await expect(line.locator(".causes")).toBeVisible();
    await expectAccessible(page);
    const scrub = page.getByRole("slider", { name: "Moment" });
    await scrub.evaluate((slider) => {
      slider.value = slider.max / 2;
      slider.dispatchEvent(new Event("input", { bubbles: true }));
      slider.dispatchEvent(new Event("change", { bubbles: true }));
    });
    await expect(line).toContainText("You look at the past");
    await expect(page.locator(".pod[aria-label^='Pod two']")).toHaveCount(0);
    await expect(page.locator(".pod[aria-label^='Pod one'][data-state=ready]")).toHaveCount(1);
    await expectAccessible(page);
    await page.getByRole("button", { name: "Back to the present" }).click();
    await expect(page.locator(".pod[aria-label^='Pod two'][data-state=ready]")).toHaveCount(1);
    await scrub.focus();
    await page.keyboard.press("Home");
    await expect(page.locator(".pod[aria-label^='Pod one']")).toHaveCount(0);
    await run(page, "kubectl create deployment other --image=nginx");
    await expect(line).toContainText("Branch 2");
    await page.getByRole("button", { name: "Branch 1: sim branch 1" }).click();
    await expect(page.locator(".pod[aria-label^='Pod two'][data-state=ready]")).toHaveCount(1);
    await expect(page.locator(".pod[aria-label^='Pod other']")).toHaveCount(0);
    await expectAccessible(page);
  });
}

test("time runs at the speed that is chosen", async ({ page }) => {
  await open(page, { editor: false, cluster: true });
  const before = await seconds(page);
  await page.getByLabel("Speed of time").selectOption("60×");
  await expect.poll(() => seconds(page)).toBeGreaterThan(before + 60);
  await page.getByLabel("Speed of time").selectOption("as fast as possible");
  await expect.poll(() => seconds(page)).toBeGreaterThan(before + 3600);
  await page.getByRole("button", { name: "Pause", exact: true }).first().click();
});

test("a fault is named once on the line of time", async ({ page }) => {
  await open(page, { editor: false, cluster: true });
  await page.getByRole("button", { name: "Pause", exact: true }).click();
  await run(page, "sim fault stop kube-scheduler");
  await page.getByRole("button", { name: "Line of time" }).click();
  await expect(page.locator(".causes li").last()).toHaveText("fault kube-scheduler is stopped");
});

test("the past runs on as it ran", async ({ page }) => {
  await open(page, { editor: false, cluster: true });
  await run(page, "kubectl create deployment one --image=nginx");
  await run(page, "sim advance 30s");
  await run(page, "kubectl create deployment two --image=nginx");
  await run(page, "sim settle");
  await page.getByRole("button", { name: "Line of time" }).click();
  await page.getByRole("slider", { name: "Moment" }).focus();
  await page.keyboard.press("Home");
  await expect(page.locator(".pod[aria-label^='Pod one']")).toHaveCount(0);
  await page.getByLabel("Speed of time").selectOption("10×");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await expect(page.locator(".pod[aria-label^='Pod two'][data-state=ready]")).toHaveCount(1);
  await expect(page.getByText("You look at the past")).toHaveCount(0);
});

test("what takes long says how far it is, and is stopped", async ({ page }) => {
  await open(page, { editor: false, cluster: true });
  const prompt = page.getByLabel("Command", { exact: true });
  await prompt.fill("sim advance 5000h");
  await prompt.press("Enter");
  await expect(page.getByRole("progressbar", { name: "Time runs ahead" })).toBeVisible();
  await expectAccessible(page);
  await page.getByRole("button", { name: "Stop", exact: true }).click();
  await expect(page.getByRole("progressbar")).toHaveCount(0);
  await expect(page.locator(".entry .running")).toHaveCount(0);
});
