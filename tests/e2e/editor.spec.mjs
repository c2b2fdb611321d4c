// The editor: CodeMirror when it is there, a plain text area when it is not; what is typed is kept.
import { expect, expectAccessible, open, PHONE, test } from "./page.mjs";

test("what is typed is kept over a reload", async ({ page }) => {
  await open(page);
  await page.locator(".cm-content").click();
  await page.keyboard.press("ControlOrMeta+Home");
  await page.keyboard.type("# mine\n");
  await expect.poll(() => page.evaluate(() => localStorage.getItem("kubarium/1/file/1"))).toContain("# mine");
  await page.reload();
  await expect(page.locator(".cm-content")).toContainText("# mine");
});

test("what is typed right before the page is left is kept too", async ({ page }) => {
  await open(page);
  await page.locator(".cm-content").click();
  await page.keyboard.type("# last words");
  await page.reload();
  await expect(page.locator(".cm-content")).toContainText("# last words");
});

test("Tab leaves the editor", async ({ page }) => {
  await open(page);
  await page.locator(".cm-content").focus();
  await page.keyboard.press("Tab");
  await expect(page.locator(".cm-content")).not.toBeFocused();
});

test("without the editor's file a text area takes its place, and says so", async ({ page }) => {
  page.allowErrors();
  await page.route("**/editor.js", (route) => route.abort());
  await open(page, { editor: false });
  const area = page.getByRole("textbox", { name: "YAML manifests" });
  await area.fill("kind: Pod");
  await expect(page.getByText("Plain text: the editor could not be loaded")).toBeVisible();
  await expectAccessible(page);
  await page.getByRole("button", { name: "Dismiss" }).click();
  await expect(page.getByText("Plain text: the editor could not be loaded")).toBeHidden();
  await expect.poll(() => page.evaluate(() => localStorage.getItem("kubarium/1/file/1"))).toBe("kind: Pod");
});

test("the editor's file is loaded only when the editor is to be seen", async ({ page }) => {
  const asked = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname.split("/").pop()));
  await page.addInitScript(() => localStorage.setItem("kubarium/1/layout", "sheet-tab=terminal"));
  await open(page, { size: PHONE, editor: false });
  await expect(page.getByRole("tabpanel", { name: "Terminal" })).toBeVisible();
  expect(asked).not.toContain("editor.js");
  await page.getByRole("tab", { name: "YAML", exact: true }).click();
  await expect(page.locator(".cm-content")).toBeVisible();
  expect(asked).toContain("editor.js");
});

test("a storage that is full is said, and the page goes on", async ({ page }) => {
  await page.addInitScript(() => {
    Storage.prototype.setItem = () => { throw new DOMException("full", "QuotaExceededError"); };
  });
  await open(page, { first: true });
  // Nobody can remember that the gallery was seen.
  await page.getByRole("button", { name: "Go to the cluster" }).click();
  await page.getByLabel("Settings").first().click();
  await page.getByRole("radio", { name: "Dark" }).check();
  await expect(page.getByText("This browser has no room left for Kubarium.")).toBeVisible();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
});

test("diagnostics are underlined where they are, within the page's policy", async ({ page }) => {
  await open(page);
  await page.evaluate(async () => {
    const { create } = await import(new URL("editor.js", document.querySelector("script[data-page]").src));
    const host = document.createElement("div");
    host.id = "second";
    document.body.append(host);
    const view = create(host, "kind: Pod\nspec:\n  größe: 1\n", () => {}, { label: "second" });
    view.setDiagnostics([
      { line: 3, column: 3, endLine: 3, endColumn: 8, severity: "error", message: "unknown field", hint: "Take it out." },
      { line: 99, column: 99, endLine: 99, endColumn: 99, severity: "warning", message: "outside the text" },
    ]);
  });
  const second = page.locator("#second");
  await expect(second.locator(".cm-lintRange-error")).toHaveText("größe");
  await second.locator(".cm-lintRange-error").hover();
  await expect(second.getByText("Take it out.")).toBeVisible();
});

test("what another part of the page sets in the editor is not taken for typing", async ({ page }) => {
  await open(page);
  const changes = await page.evaluate(async () => {
    const { create } = await import(new URL("editor.js", document.querySelector("script[data-page]").src));
    const host = document.body.appendChild(document.createElement("div"));
    let changes = 0;
    const view = create(host, "a: 1", () => changes++, { label: "third" });
    view.setDoc("a: 2");
    return [changes, view.getDoc()];
  });
  expect(changes).toEqual([0, "a: 2"]);
});

test("a field that does not exist is named with its place, and the place is one click away", async ({ page }) => {
  await open(page, { cluster: true });
  await page.locator(".cm-content").click();
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type("apiVersion: v1\nkind: Pod\nspek: {}\n");
  const problem = page.getByRole("button", { name: 'unknown field "spek"' });
  await expect(problem).toContainText("line 3, column 1");
  await expect(page.locator(".cm-lintRange-error")).toHaveText("spek");
  await expectAccessible(page);
  await problem.click();
  await page.keyboard.type("x");
  await expect(page.locator(".cm-content")).toContainText("xspek");
});
