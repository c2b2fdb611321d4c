// Terminals: each with a shell of its own, on the workstation, on a node, in a pod.
import { expect, expectAccessible, open, test } from "./page.mjs";

test("each terminal is a shell of its own, and one follows while another is typed in", async ({ page }) => {
  await open(page, { editor: false, cluster: true });
  const prompt = page.getByLabel("Command", { exact: true });
  const sign = page.locator(".prompt .sign");
  const last = page.locator(".entry").last();
  const running = page.locator(".entry .running");
  const place = (name) => page.locator(".places").getByRole("button", { name, exact: true });
  const another = async (label) => {
    const choice = page.getByLabel("Open a terminal on another place");
    // What there is to choose from is listed then.
    await choice.focus();
    await choice.selectOption({ label });
  };
  const type = async (line) => {
    await prompt.fill(line);
    await prompt.press("Enter");
  };
  await another("worker-1");
  await expect(sign).toContainText("root@worker-1:~#");
  await type("cd /tmp; x=5");
  await expect(sign).toContainText("root@worker-1:/tmp#");
  await type("echo $x");
  await expect(last.locator("pre")).toHaveText("5\n");
  await another("workstation");
  await expect(place("workstation 2")).toHaveAttribute("aria-pressed", "true");
  await type("kubectl get pods -w");
  await expect(running).toBeVisible();
  await place("worker-1").click();
  await type("hostname");
  await expect(last.locator("pre")).toHaveText("worker-1\n");
  await expect(running).toHaveCount(0);
  // The past of a shell is its own.
  await prompt.press("ArrowUp");
  await prompt.press("ArrowUp");
  await expect(prompt).toHaveValue("echo $x");
  await place("workstation 2").click();
  await expect(running).toBeVisible();
  await expectAccessible(page);
  await prompt.press("Control+c");
  await expect(running).toHaveCount(0);
  await page.getByRole("button", { name: "Close the terminal on workstation 2" }).click();
  await expect(place("workstation")).toHaveAttribute("aria-pressed", "true");
  await expect(sign).toContainText("$");
});
