// The simulator's thread: loads its module, says how much of it has come, and starts it. What stands after the script's
// name (`worker.js?GLUE&MODULE&SIZE`, written when the page is built) are the files' names, which hold a digest, so that a
// stale module never meets a new page, and how many bytes there are to come; without it that is unknown. The thread's own
// address says nothing: thread.js may have started it from elsewhere.
const [glue, module, size] = new URL(import.meta.url).search.slice(1).split("&");
const total = Number(size) || 0;

async function load() {
  const starting = import(`../${glue}`);
  const response = await fetch(new URL(`../${module}`, import.meta.url));
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
  const { default: start } = await starting;
  await start({ module_or_path: counted });
  postMessage({ started: true });
}

load().catch((error) => postMessage({ failed: String(error?.message ?? error) }));
