// Starts the simulator's thread. A page without an origin of its own (a frame with `sandbox`, without `allow-same-origin`)
// may start none from an address, and none that is a module; but one from a text that it has itself, which loads the script.
export function startThread(script) {
  if (self.origin !== "null") return new Worker(script, { type: "module" });
  const address = JSON.stringify(new URL(script, document.baseURI).href);
  const text = `import(${address}).catch((error) => postMessage({ failed: String(error?.message ?? error) }));`;
  return new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
}
