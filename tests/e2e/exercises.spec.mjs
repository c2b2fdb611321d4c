// Every exercise, done in the page from its first task to its last.
import { readFile, readdir } from "node:fs/promises";
import { expect, open, test } from "./page.mjs";

const files = (await readdir("exercises")).filter((file) => file !== "index.yaml");

/** What the file has as the answers of its questions, in their order; of several right ones the first. */
function answers(text) {
  const found = [...text.matchAll(/^\s+answer: (?:\[([^\],]+).*|"?([^"\n]+)"?)$/gm)];
  return found.map(([, first, only]) => first ?? only);
}

for (const file of files) {
  const name = file.replace(".yaml", "");
  test(`the exercise ${name} can be done in the page`, async ({ page }) => {
    const right = answers(await readFile(`exercises/${file}`, "utf8"));
    await open(page, { editor: false });
    await page.goto(`./#exercise=${name}`);
    const steps = page.locator(".lesson .step");
    await expect(steps.first()).toBeVisible();
    const count = await steps.count();
    for (let n = 0; n < count; n++) {
      const step = steps.nth(n);
      await expect(step).toHaveAttribute("data-current", "");
      await expect(step).not.toHaveAttribute("data-done", "");
      // What is asked, then what is to be done.
      for (const question of await step.locator(".question").all()) {
        const answer = right.shift();
        const option = question.getByLabel(answer, { exact: true });
        if (await option.count()) await option.check();
        else await question.getByLabel("Your answer").fill(answer);
        await question.getByRole("button", { name: "Answer" }).click();
      }
      if (await step.locator(".solution").count()) {
        await step.locator(".solution summary").click();
        await step.locator(".solution button").click();
      }
      await expect(step).toHaveAttribute("data-done", "", { timeout: 20_000 });
    }
    await expect(page.locator(".all-done")).toBeVisible();
  });
}
