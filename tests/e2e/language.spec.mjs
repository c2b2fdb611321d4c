// The page's words: each language whole, chosen by the person, kept.
import { readFileSync, readdirSync } from "node:fs";
import { expect, expectAccessible, open, PHONE, run, test, WIDE } from "./page.mjs";

const FOLDER = new URL("../../web/locales/", import.meta.url);

/** A language's texts by their keys. */
function texts(file) {
  const lines = readFileSync(new URL(file, FOLDER), "utf8").split("\n").filter((line) => line && !line.startsWith("#"));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(" = ")), line.slice(line.indexOf(" = ") + 3)]));
}

const names = (text) => [...text.matchAll(/\{[a-z]+\}/g)].map(String).sort();

for (const file of readdirSync(FOLDER).filter((file) => file !== "en.txt")) {
  test(`${file} has every text, with the same names in it`, () => {
    const [english, other] = [texts("en.txt"), texts(file)];
    expect([...other.keys()].sort()).toEqual([...english.keys()].sort());
    for (const [key, text] of english) expect(names(other.get(key)), key).toEqual(names(text));
  });
}

for (const [name, size] of [["wide", WIDE], ["phone", PHONE]]) {
  test(`another language is chosen, spoken at once, and kept: ${name}`, async ({ page }) => {
    await open(page, { size, editor: false, cluster: true });
    await run(page, "kubectl create deployment site --image=nginx");
    await page.getByLabel("Settings").first().click();
    await page.getByLabel("Language").selectOption("Deutsch");
    await expect(page.locator("html")).toHaveAttribute("lang", "de");
    await expect(page.getByRole("tab", { name: "Verlauf" })).toBeVisible();
    // The cluster and what was typed are still there.
    await expect(page.locator(".pod[aria-label^='Pod site-']")).toHaveCount(1);
    await expect(page.locator(".typed")).toHaveCount(1);
    await expectAccessible(page);
    await page.reload();
    await expect(page.getByRole("tab", { name: "Verlauf" })).toBeVisible();
    await expect(page.locator("html")).toHaveAttribute("lang", "de");
    for (const tab of await page.getByRole("tab").all()) {
      await tab.click();
      const box = await tab.boundingBox();
      expect(box.x + box.width).toBeLessThanOrEqual(size.width);
    }
    await page.getByLabel("Einstellungen").first().click();
    await page.getByLabel("Sprache").selectOption("English");
    await expect(page.getByRole("tab", { name: "Timeline" })).toBeVisible();
  });
}
