// The files of manifests: tabs, disk, examples, what the core says at the cursor, what applying would change.
import { expect, expectAccessible, open, PHONE, run, test, WIDE } from "./page.mjs";

const tabs = (page) => page.getByRole("tablist", { name: "Files" }).getByRole("tab");

/** Puts a text into the editor, in place of what is there. */
async function write(page, text) {
  await page.locator(".cm-content").click();
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.press("Delete");
  await page.keyboard.insertText(text);
}

async function menu(page, name, item) {
  await page.getByRole("button", { name, exact: true }).click();
  await page.getByRole("button", { name: item, exact: true }).click();
}

for (const [name, size, scheme] of [["wide", WIDE, "light"], ["phone", PHONE, "dark"]]) {
  test(`files are opened, named, moved, closed, brought back, and kept: ${name}`, async ({ page }) => {
    await open(page, { size, scheme, cluster: true });
    await menu(page, "New file, open, examples", "New file");
    await expect(tabs(page)).toHaveText(["web.yaml", "manifest.yaml"]);
    await write(page, "# mine");
    await tabs(page).last().press("F2");
    await page.getByLabel("Rename").fill("db");
    await page.getByLabel("Rename").press("Enter");
    await expect(tabs(page)).toHaveText(["web.yaml", "db.yaml"]);
    await tabs(page).last().press("Alt+ArrowLeft");
    await expect(tabs(page)).toHaveText(["db.yaml", "web.yaml"]);
    await expectAccessible(page);
    await tabs(page).first().press("Delete");
    await expect(tabs(page)).toHaveText(["web.yaml"]);
    await expect(page.getByText("db.yaml is closed.")).toBeVisible();
    await expectAccessible(page);
    await page.getByRole("button", { name: "Undo" }).click();
    await expect(page.locator(".cm-content")).toHaveText("# mine");
    await expect(tabs(page)).toHaveText(["db.yaml", "web.yaml"]);
    await page.reload();
    await expect(page.locator(".cm-content")).toHaveText("# mine");
    await expect(tabs(page)).toHaveText(["db.yaml", "web.yaml"]);
    await tabs(page).first().press("ArrowRight");
    await expect(page.locator(".cm-content")).toContainText("Three web servers");
  });
}

test("a file's tab is dragged to its place, and a text that is dragged is none", async ({ page }) => {
  await open(page, { cluster: true });
  for (let n = 0; n < 2; n++) await menu(page, "New file, open, examples", "New file");
  await expect(tabs(page)).toHaveText(["web.yaml", "manifest.yaml", "manifest-2.yaml"]);
  await tabs(page).last().dragTo(tabs(page).first());
  await expect(tabs(page)).toHaveText(["manifest-2.yaml", "web.yaml", "manifest.yaml"]);
  await tabs(page).first().dragTo(tabs(page).nth(1));
  await expect(tabs(page)).toHaveText(["web.yaml", "manifest-2.yaml", "manifest.yaml"]);
  await page.reload();
  await expect(tabs(page)).toHaveText(["web.yaml", "manifest-2.yaml", "manifest.yaml"]);
});

test("each file has an undo history of its own", async ({ page }) => {
  await open(page);
  await menu(page, "New file, open, examples", "New file");
  await page.locator(".cm-content").click();
  await page.keyboard.type("a: 1");
  await tabs(page).first().click();
  await page.locator(".cm-content").click();
  await page.keyboard.press("ControlOrMeta+z");
  await expect(page.locator(".cm-content")).toContainText("Three web servers");
  await tabs(page).last().click();
  await page.locator(".cm-content").click();
  await page.keyboard.press("ControlOrMeta+z");
  await expect(page.locator(".cm-content")).not.toContainText("a: 1");
});

test("what one version kept under one key is a file of the next", async ({ page }) => {
  await page.addInitScript(() => localStorage.getItem("kubarium/1/files") ?? localStorage.setItem("kubarium/1/manifests", "# from before"));
  await open(page);
  await expect(page.locator(".cm-content")).toHaveText("# from before");
  expect(await page.evaluate(() => localStorage.getItem("kubarium/1/manifests"))).toBeNull();
});

test("files come from disk, by choice and by drop, and go to disk", async ({ page }) => {
  await open(page);
  const chooser = page.waitForEvent("filechooser");
  await menu(page, "New file, open, examples", "Open from disk…");
  const file = (name, text) => ({ name, mimeType: "application/yaml", buffer: Buffer.from(text) });
  await (await chooser).setFiles([file("a.yaml", "a: 1"), file("b.yaml", "b: 2")]);
  await expect(tabs(page)).toHaveText(["web.yaml", "a.yaml", "b.yaml"]);
  await page.evaluate(() => {
    const data = new DataTransfer();
    data.items.add(new File(["c: 3"], "c.yaml"));
    data.items.add(new File(["\0"], "picture.png"));
    document.querySelector(".files-area").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
  });
  await expect(tabs(page)).toHaveText(["web.yaml", "a.yaml", "b.yaml", "c.yaml"]);
  await expect(page.getByText("That is no text of at most 1 MB.")).toBeVisible();
  const download = page.waitForEvent("download");
  await menu(page, "More for this file", "Save to disk");
  expect((await download).suggestedFilename()).toBe("c.yaml");
});

test("an example is a click away, and is applied", async ({ page }) => {
  await open(page, { cluster: true });
  await page.getByRole("button", { name: "New file, open, examples" }).click();
  await expectAccessible(page);
  await page.getByRole("button", { name: /^DaemonSet/ }).click();
  await expect(tabs(page).last()).toHaveText("daemonset.yaml");
  await page.getByRole("button", { name: "Apply", exact: true }).click();
  await expect(page.getByRole("status", { name: "What was applied" })).toContainText("daemonset.apps/agent created");
  await expectAccessible(page);
});

test("what could stand at the cursor is offered, and what stands there is told, by keyboard alone", async ({ page }) => {
  await open(page, { cluster: true });
  await write(page, "apiVersion: v1\nkind: Service\nmetadata:\n  name: s\nspec:\n  ");
  await page.keyboard.type("ty");
  const list = page.getByRole("listbox", { name: "What could stand here" });
  await expect(list.getByRole("option").first()).toContainText("type");
  await expect(list.getByRole("option", { selected: true })).toHaveCount(1);
  await expectAccessible(page);
  await page.keyboard.press("Enter");
  await expect(list.getByRole("option").first()).toContainText("ClusterIP");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await expect(page.locator(".cm-content")).toContainText("type: NodePort");
  await page.keyboard.press("F1");
  await expect(page.locator(".told")).toContainText("spec.type");
  await expect(page.locator(".told")).toContainText("ClusterIP");
  await expectAccessible(page);
  await page.keyboard.press("Escape");
  await expect(page.locator(".told")).toBeHidden();
});

test("a selector that selects nothing is remarked until there is something", async ({ page }) => {
  await open(page, { cluster: true });
  await write(page, "apiVersion: v1\nkind: Service\nmetadata:\n  name: s\nspec:\n  selector:\n    run: later\n  ports:\n    - port: 80\n");
  const remark = page.getByRole("button", { name: /this selector selects nothing/ });
  await expect(remark).toBeVisible();
  await expectAccessible(page);
  await run(page, "kubectl run later --image=nginx");
  await expect(remark).toBeHidden();
});

for (const [name, size, scheme] of [["wide", WIDE, "dark"], ["phone", PHONE, "light"]]) {
  test(`what applying would change is shown before, and what it did after: ${name}`, async ({ page }) => {
    await open(page, { size, scheme, cluster: true });
    await page.getByRole("button", { name: "Preview" }).click();
    const drawer = page.getByRole("region", { name: "What applying would change" });
    await expect(drawer.locator("li")).toHaveText([/Deployment\s*web\s*new/, /Service\s*web\s*new/]);
    await expectAccessible(page);
    await drawer.getByText("Deployment", { exact: true }).click();
    await expect(drawer.getByLabel("What differs, as kubectl diff prints it").first()).toContainText("+kind: Deployment");
    await expectAccessible(page);
    await page.getByRole("button", { name: "Apply", exact: true }).click();
    await expect(drawer.locator("[data-effect=unchanged]")).toHaveCount(2);
    await write(page, "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  selector:\n    app: web\n  ports:\n    - port: 81\n      targetPort: 80\n");
    await expect(drawer.locator("[data-effect=changed]")).toContainText("port: 81");
    await expect(drawer.locator("[data-effect=left]")).toContainText("kubectl delete deployment web");
    await drawer.getByRole("button", { name: "Apply this document" }).click();
    await expect(drawer.locator("[data-effect=changed]")).toHaveCount(0);
    await expectAccessible(page);
  });
}
