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
    const phone = await page.getByRole("tab", { name: "YAML", exact: true }).isVisible();
    if (!phone) await page.getByRole("button", { name: "Close the packet lane" }).click();
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
};

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
