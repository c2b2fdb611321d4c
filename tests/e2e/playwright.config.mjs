// `cargo xtask test` builds the page, serves it, and calls Playwright with its address in KUBARIUM_URL.
import { defineConfig } from "@playwright/test";

const url = process.env.KUBARIUM_URL;
if (!url) throw new Error("KUBARIUM_URL is not set: run `cargo xtask test --only page`");

export default defineConfig({
  testDir: ".",
  testMatch: process.env.KUBARIUM_SCREENSHOTS ? "screenshots.mjs" : "*.spec.mjs",
  outputDir: "../../target/e2e",
  fullyParallel: true,
  forbidOnly: Boolean(process.env.CI),
  workers: 2,
  // A browser on a busy machine may miss a deadline once; the report names what did.
  retries: process.env.CI ? 1 : 0,
  // What a slow machine needs, not what a test takes: each waits for states, never for times.
  timeout: 180_000,
  expect: { timeout: 30_000 },
  reporter: [["list"]],
  use: {
    baseURL: url,
    // What a service worker fetches goes past the tests' own answers; the test of it allows it.
    serviceWorkers: "block",
    launchOptions: {
      executablePath: process.env.CHROMIUM || undefined,
      args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
    },
    trace: "retain-on-failure",
  },
});
