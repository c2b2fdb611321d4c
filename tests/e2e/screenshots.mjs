// Takes the pictures in docs/screenshots: `cargo xtask screenshots`.
import { ask, deploy, seek } from "./cluster.mjs";
import { expect, open, PHONE, run, test, WIDE } from "./page.mjs";

const FOLDER = new URL("../../docs/screenshots/", import.meta.url).pathname;

/** A request over the Service whose server is on another node, at the stop where the Service's address is replaced. */
async function follow(page) {
  await deploy(page);
  for (let tries = 0; tries < 16; tries++) {
    const sentences = await ask(page, "http://web");
    // The last exchange is the connection itself; DNS goes through a tunnel as often as not.
    if (sentences.slice(-24).some((sentence) => /VXLAN/.test(sentence))) break;
  }
  const stop = await page.locator(".steps .what").evaluateAll((all) => all.findLastIndex((what) => /^DNAT: .*web/.test(what.textContent)));
  await seek(page, Math.max(stop, 0));
  await expect(page.locator("g.packet")).toHaveCount(1);
}

const VIEWS = {
  map: deploy,
  packet: follow,
  rules: async (page) => {
    await follow(page);
    await page.getByRole("button", { name: "Show in the rule book" }).click();
    await expect(page.locator(".rule[data-current]")).toBeVisible();
    if (!isPhone(page)) await page.getByRole("button", { name: "Close the packet lane" }).click();
  },
  terminal: async (page) => {
    await deploy(page);
    await run(page, "kubectl get pods -o wide");
  },
  crowd: async (page) => {
    await deploy(page);
    await run(page, "kubectl scale deployment web --replicas=100");
    await run(page, "sim settle");
    await run(page, "kubectl get deployments");
  },
  // Who told whom since the manifests were applied, and why a pod was made.
  timeline: async (page) => {
    await deploy(page);
    await page.getByRole("tab", { name: "Timeline" }).click();
    await page.getByLabel("Events set off by").selectOption({ label: "kubectl apply -f web.yaml" });
    await page.getByRole("button", { name: /create pods default\/web-/ }).first().press("Enter");
    await expect(page.locator(".why li").first()).toBeVisible();
  },
  // Two packets beside each other: one that arrives, one that nobody answers.
  compare: async (page) => {
    await deploy(page);
    await ask(page, "http://web");
    await page.getByRole("button", { name: "Compare" }).click();
    await ask(page, "http://10.43.0.99", "Timed out");
    await expect(page.locator(".parting")).toBeVisible();
  },
  objects: async (page) => {
    await deploy(page);
    await page.getByRole("tab", { name: "Objects" }).click();
    await page.locator(".resources").getByRole("button", { name: /^Pod\b/ }).first().click();
    await page.locator(".stored").getByRole("button", { name: /^web-/ }).first().click();
    await details(page);
    await page.locator(".card").getByRole("tab", { name: "History" }).click();
    await expect(page.locator(".card .fields li").first()).toBeVisible();
  },
  // A manifest with what is wrong in it, and what applying it would change.
  editor: async (page) => {
    await deploy(page);
    const tab = page.getByRole("tab", { name: "YAML", exact: true });
    if (await tab.isVisible()) await tab.click();
    await page.locator(".cm-line", { hasText: "replicas: 3" }).click();
    await page.keyboard.press("End");
    await page.keyboard.press("Backspace");
    await page.keyboard.type("5");
    await page.getByRole("button", { name: "Preview" }).click();
    await expect(page.locator("[data-effect=changed] .diff")).toBeVisible();
  },
  tree: async (page) => {
    await deploy(page);
    await page.getByRole("button", { name: "The map as a tree" }).click();
    await page.getByRole("treeitem").filter({ hasText: /^curl/ }).click();
    await page.keyboard.press("ArrowRight");
    await expect(page.getByRole("treeitem").filter({ hasText: /^eth0/ }).first()).toBeVisible();
  },
  // What is wanted, what there is, what is missing and who acts next.
  between: async (page) => {
    await deploy(page);
    await page.getByRole("button", { name: "Pause", exact: true }).first().click();
    await run(page, "kubectl scale deployment web --replicas=5; sim advance 150ms");
    // Its middle is where its cable runs, so not a click.
    await page.locator(".pod[aria-label^='Pod web-']").first().press("Enter");
    await details(page);
    await page.locator(".card .family button").filter({ hasText: /^web$/ }).click();
    await expect(page.locator(".card .lacks li").first()).toBeVisible();
  },
  scheduling: async (page) => {
    await deploy(page);
    await run(page, `kubectl run huge --image=nginx --overrides='{"spec":{"containers":[{"name":"huge","image":"nginx","resources":{"requests":{"cpu":"1000"}}}]}}'; sim settle`);
    await page.getByRole("tab", { name: "Scheduling" }).click();
    await page.getByRole("button", { name: /default\/web-/ }).first().click();
    await expect(page.locator("[data-chosen]").first()).toBeVisible();
  },
  tables: async (page) => {
    await follow(page);
    await page.locator(".pod[aria-label^='Pod curl']").click({ force: true });
    if (isPhone(page)) {
      await details(page);
      await page.locator(".card").getByRole("tab", { name: "Network" }).click();
    } else {
      await page.getByRole("button", { name: "Close the packet lane" }).click();
      await page.getByRole("tab", { name: "Network" }).click();
    }
    await page.getByRole("tab", { name: /^Routes/ }).click();
  },
  faults: async (page) => {
    await deploy(page);
    await run(page, "sim fault stop kube-scheduler; sim fault link down worker-2");
    await page.getByRole("button", { name: /^kubelet/ }).nth(1).dispatchEvent("contextmenu", { clientX: 20, clientY: 20 });
    await expect(page.getByRole("menu", { name: "kubelet" })).toBeVisible();
  },
  time: async (page) => {
    await deploy(page);
    await run(page, "sim fault stop kube-scheduler; sim advance 2m; sim fault mend; kubectl scale deployment web --replicas=4; sim settle");
    await page.getByRole("button", { name: "Line of time" }).click();
    await page.getByRole("slider", { name: "Moment" }).evaluate((slider) => {
      slider.value = slider.max * 0.6;
      for (const name of ["input", "change"]) slider.dispatchEvent(new Event(name, { bubbles: true }));
    });
    await expect(page.getByRole("region", { name: "Line of time" })).toContainText("You look at the past");
  },
  gallery: async (page) => {
    await page.getByRole("button", { name: "Lessons", exact: true }).click();
    await expect(page.locator(".gallery")).toBeVisible();
  },
};

const isPhone = (page) => page.viewportSize().width === PHONE.width;

/** Shows what is selected. */
async function details(page) {
  if (isPhone(page)) await page.getByRole("tab", { name: "Details" }).click();
}

for (const [view, act] of Object.entries(VIEWS)) {
  for (const [name, size] of Object.entries({ wide: WIDE, phone: PHONE })) {
    for (const scheme of ["light", "dark"]) {
      test(`${view}, ${name}, ${scheme}`, async ({ page }) => {
        await open(page, { size, scheme, editor: false, cluster: true });
        await act(page);
        if (size === WIDE) await expect(page.locator(".cm-content")).toBeVisible();
        await page.mouse.move(0, 0);
        await page.screenshot({ path: `${FOLDER}${view}-${name}-${scheme}.png`, animations: "disabled" });
      });
    }
  }
}
