// What tests of a cluster at work begin with: manifests applied, a request sent.
import { expect, run } from "./page.mjs";

/** Applies the first manifests, starts a client, and lets simulated time run until all of it is carried out. */
export async function deploy(page) {
  await run(page, "kubectl run curl --image=curlimages/curl --command -- sleep infinity");
  const tab = page.getByRole("tab", { name: "YAML", exact: true });
  if (await tab.isVisible()) await tab.click();
  await page.getByRole("button", { name: "Apply", exact: true }).click();
  await run(page, "sim settle");
  await expect(page.locator(".pod[aria-label^='Pod web-'][data-state=ready]")).toHaveCount(3);
  await expect(page.locator(".pod[aria-label^='Pod curl'][data-state=ready]")).toHaveCount(1);
}

/** Sends one request, and waits until its packet is followed; gives the sentences of its stops. */
export async function ask(page, target, verdict = "Delivered") {
  await page.getByRole("button", { name: "Send a request" }).click();
  await page.getByLabel("From").selectOption("pod/curl");
  await page.getByLabel("to", { exact: true }).fill(target);
  const before = await page.locator(".lane-body").getAttribute("data-lane");
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await expect(page.locator(".lane-body")).not.toHaveAttribute("data-lane", before);
  await expect(page.locator(".verdict").first()).toContainText(verdict);
  return page.locator(".steps .what").allTextContents();
}

/** Puts the followed packet at a stop, from 0. */
export async function seek(page, stop) {
  const scrub = page.getByRole("slider", { name: "Step of the packet" });
  await scrub.evaluate((slider, stop) => {
    slider.value = stop;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  }, stop);
}
