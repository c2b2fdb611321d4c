// What every test of the page starts from.
import AxeBuilder from "@axe-core/playwright";
import { expect, test as base } from "@playwright/test";

export const WIDE = { width: 1440, height: 900 };
export const LAPTOP = { width: 1024, height: 700 };
export const PHONE = { width: 390, height: 844 };

/** `page` fails the test that used it if the page wrote an error, threw, broke its own policy or missed a file. */
export const test = base.extend({
  page: async ({ page }, use) => {
    const wrong = [];
    page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
    page.on("pageerror", (error) => wrong.push(String(error)));
    page.on("requestfailed", (request) => {
      const why = request.failure()?.errorText;
      // A page that is left asks no more for the parts of its module that come later.
      const left = why === "net::ERR_ABORTED" && /\/page-[0-9a-f]+\/\w+\.wasm$/.test(request.url());
      if (!left) wrong.push(`${request.url()}: ${why}`);
    });
    page.on("request", (request) => {
      const { protocol, hostname } = new URL(request.url());
      if (protocol.startsWith("http") && hostname !== "127.0.0.1") wrong.push(`asked another server: ${request.url()}`);
    });
    await page.addInitScript(() =>
      addEventListener("securitypolicyviolation", (e) => console.error(`policy: ${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`)),
    );
    page.allowErrors = () => (wrong.allowed = true);
    await use(page);
    if (!wrong.allowed) expect(wrong, "errors on the page").toEqual([]);
  },
});

export { expect };

/** Opens the page and waits until its shell is there; `editor` waits for the editor too, `cluster` for the cluster. It is
 *  as for somebody who has been here before; `first` is as for somebody who has not, who is shown the gallery. */
export async function open(page, { size = WIDE, scheme = "light", editor = true, cluster = false, first = false } = {}) {
  if (!first) await visited(page);
  await page.setViewportSize(size);
  await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
  await page.goto("./");
  await expect(page.getByRole("heading", { name: "Kubarium", level: 1 })).toBeVisible();
  if (editor) await expect(page.locator(".cm-content")).toBeVisible();
  if (cluster) await expect(page.locator(".room")).toHaveCount(3);
}

/** From now on the page takes the person for one who has been here before. */
export function visited(page) {
  return page.addInitScript(() => {
    try {
      localStorage.setItem("kubarium/1/visited", "1");
    } catch {
      // A frame without storage.
    }
  });
}

/** Runs a command line in the terminal, and waits until it has ended; gives what it printed. */
export async function run(page, line) {
  await page.getByRole("tab", { name: "Terminal" }).click();
  const prompt = page.getByLabel("Command", { exact: true });
  const entries = page.locator(".entry");
  const before = await entries.count();
  await prompt.fill(line);
  await prompt.press("Enter");
  const entry = entries.nth(before);
  await expect(entry).toBeAttached();
  await expect(entry.locator(".running")).toHaveCount(0);
  return entry.locator("pre").textContent();
}

/** Fails where axe finds anything against WCAG 2.2 AA or its own best practices. */
export async function expectAccessible(page) {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const told = violations.map((v) => `${v.id}: ${v.help}\n  ${v.nodes.map((n) => `${n.target} ${n.failureSummary}`).join("\n  ")}`);
  expect(told).toEqual([]);
}
