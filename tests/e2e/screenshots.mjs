// Takes the pictures in docs/screenshots: `cargo xtask screenshots`.
import { open, PHONE, test, WIDE } from "./page.mjs";

const FOLDER = new URL("../../docs/screenshots/", import.meta.url).pathname;

for (const [name, size] of Object.entries({ wide: WIDE, phone: PHONE })) {
  for (const scheme of ["light", "dark"]) {
    test(`${name}, ${scheme}`, async ({ page }) => {
      await open(page, { size, scheme });
      await page.screenshot({ path: `${FOLDER}page-${name}-${scheme}.png` });
    });
  }
}
