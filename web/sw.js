// The page without a connection: all its files are kept at the first visit.
//
// The page itself comes from the network while there is one, so whoever is connected has the newest. Every other file that
// it runs has a digest in its name or its folder's: kept ones never change, and files of two versions never meet. The
// version before stays until the next one comes, for pages that are still open.
const VERSION = "";
const FILES = [];
const CACHE = `kubarium/${VERSION}`;
const PATIENCE_MS = 4000;

addEventListener("install", (event) => {
  const keep = async () => {
    const cache = await caches.open(CACHE);
    // What has no digest in its name must not come from the browser's own store.
    await cache.addAll(FILES.map((file) => new Request(file, { cache: "no-cache" })));
    await skipWaiting();
  };
  event.waitUntil(keep());
});

addEventListener("activate", (event) => {
  const tidy = async () => {
    const ours = (await caches.keys()).filter((name) => name.startsWith("kubarium/") && name !== CACHE);
    await Promise.all(ours.slice(0, -1).map((name) => caches.delete(name)));
    await clients.claim();
  };
  event.waitUntil(tidy());
});

const fromNetwork = (request) => fetch(request, { signal: AbortSignal.timeout(PATIENCE_MS) });

async function kept(request) {
  const found = (await (await caches.open(CACHE)).match(request)) ?? (await caches.match(request));
  // Without the address that it was kept under, a script keeps the one it was asked by, with all that stands after `?`.
  return found && new Response(found.body, found);
}

async function answer(request) {
  const path = new URL(request.url).pathname.slice(new URL(registration.scope).pathname.length);
  const isPage = request.mode === "navigate" && (path === "" || path === "index.html");
  if (/-[0-9a-f]{12,}/.test(path)) return (await kept(new URL(path, registration.scope))) ?? fetch(request);
  try {
    return await fromNetwork(request);
  } catch (error) {
    const found = await kept(new URL(isPage ? "index.html" : path, registration.scope));
    if (found) return found;
    throw error;
  }
}

addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && request.url.startsWith(registration.scope)) event.respondWith(answer(request));
});
