// The simulator's thread: loads its module, says how much of it has come, and starts it. What is asked for after the
// script's name (`worker.js?DIGEST-SIZE`, written when the page is built) keeps a stale module from meeting a new page,
// and tells how many bytes there are to come; without it both are unknown.
const { search } = self.location;
const total = Number(search.split("-")[1]) || 0;

async function load() {
  const glue = import(`./kubarium-worker.js${search}`);
  const response = await fetch(`kubarium-worker_bg.wasm${search}`);
  if (!response.ok) throw new Error(`the server answered ${response.status} ${response.statusText}`);
  let loaded = 0;
  const count = new TransformStream({
    transform(chunk, out) {
      loaded += chunk.length;
      postMessage({ loaded, total });
      out.enqueue(chunk);
    },
  });
  const counted = new Response(response.body.pipeThrough(count), { headers: { "Content-Type": "application/wasm" } });
  const { default: start } = await glue;
  await start({ module_or_path: counted });
  postMessage({ started: true });
}

load().catch((error) => postMessage({ failed: String(error?.message ?? error) }));
