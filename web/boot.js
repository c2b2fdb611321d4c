// Starts the page: sets the theme before anything is painted, loads the module, and keeps the crash panel alive
// when the module is not. A classic script, so that it runs before the first paint.
(() => {
  const folder = new URL(document.currentScript.dataset.page, document.baseURI);
  const root = document.documentElement;
  const saved = (key) => { try { return localStorage.getItem(`kubarium/1/${key}`); } catch { return null; } };

  const theme = saved("theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;

  // Inside a page that embeds it (docs/EMBEDDING.md) there is no start page, and less around the map.
  const asked = new URLSearchParams(location.search);
  const embedded = parent !== window && asked.has("embed");
  if (embedded) root.dataset.embed = asked.has("readonly") ? "readonly" : "";
  if (embedded && asked.has("lang")) root.dataset.lang = asked.get("lang");

  // Where a sandbox forbids forms the browser drops even those that go nowhere. What they are here for is done all the same.
  const submit = (event) => {
    const typed = event.type === "keydown" && event.key === "Enter" && !event.isComposing && event.target.matches?.("form input");
    const button = event.type === "click" && event.target.closest?.("form button[type=submit]");
    if (event.defaultPrevented || !(typed || button)) return;
    event.preventDefault();
    event.target.closest("form").dispatchEvent(new SubmitEvent("submit", { bubbles: true, cancelable: true, submitter: button || null }));
  };
  if (embedded) for (const type of ["keydown", "click"]) addEventListener(type, submit);

  // From the second visit on the page needs no connection (sw.js). Other pages' frames leave nothing behind.
  if (parent === window) addEventListener("load", () => setTimeout(() => {
    // Where there are no service workers, the page works as long as there is a connection.
    try { navigator.serviceWorker?.register("sw.js").catch(() => {}); } catch { /* a sandbox */ }
  }, 4000));

  const byId = (id) => document.getElementById(id);

  function crash(detail) {
    const panel = byId("crash");
    byId("boot")?.remove();
    byId("app").inert = true;
    if (panel.hidden) {
      byId("crash-detail").textContent = detail;
      panel.hidden = false;
      byId("crash-reload").focus();
    }
  }

  function wireCrashPanel() {
    byId("crash-reload").addEventListener("click", () => location.reload());
    byId("crash-copy").addEventListener("click", async (event) => {
      await navigator.clipboard?.writeText(byId("crash-detail").textContent);
      event.target.dataset.done = "";
    });
    const forget = (what) => () => {
      try {
        for (const key of Object.keys(localStorage)) if (what.test(key)) localStorage.removeItem(key);
      } catch { /* no storage, nothing to forget */ }
      // A link to a lesson or a state would bring it back.
      history.replaceState(null, "", location.pathname + location.search);
      location.reload();
    };
    byId("crash-begin").addEventListener("click", forget(/^kubarium\/1\/(embed\/)?work/));
    byId("crash-forget").addEventListener("click", forget(/^kubarium\//));
    // A trap that no panic announced: out of memory, a stack that ran over.
    addEventListener("error", (event) => {
      if (event.error instanceof WebAssembly.RuntimeError) crash(`${event.error.message}\n${event.error.stack ?? ""}`);
    });
    addEventListener("unhandledrejection", (event) => {
      if (event.reason instanceof WebAssembly.RuntimeError) crash(`${event.reason.message}\n${event.reason.stack ?? ""}`);
    });
  }

  addEventListener("DOMContentLoaded", async () => {
    wireCrashPanel();
    try {
      const module = await import(new URL("page.js", folder));
      await module.default({ module_or_path: new URL("page_bg.wasm", folder) });
      // What later views look like need not keep the first one waiting.
      const later = document.createElement("link");
      later.rel = "stylesheet";
      later.href = new URL("later.css", folder);
      document.head.append(later);
    } catch (error) {
      const advice = self.origin === "null"
        ? "This frame has no origin of its own (a sandbox without allow-same-origin), so its server has to let all origins read the files: Access-Control-Allow-Origin: *"
        : "Check the connection, and that the browser is not older than two years.";
      const why = `The page could not be loaded: ${error?.message ?? error}\n${advice}`;
      crash(why);
      // The page around this one need not wait for it (docs/EMBEDDING.md).
      if (embedded) parent.postMessage({ kubarium: 1, event: "failed", message: why }, "*");
    }
  });
})();
