// Files of the person's own: from disk, dropped on the page, and to disk.
const MOST_BYTES = 1 << 20;

/** Tells each file's name and text; of what is too large or no text the name alone. */
async function read(files, then) {
  for (const file of files) {
    const text = file.size > MOST_BYTES ? "\0" : await file.text();
    then(file.name, text.includes("\0") ? undefined : text);
  }
}

/** Lets the person choose files. */
export function pickFiles(then) {
  const input = document.createElement("input");
  Object.assign(input, { type: "file", multiple: true, accept: ".yaml,.yml,.json,text/plain" });
  input.addEventListener("change", () => read([...input.files], then));
  input.click();
}

/** Takes what is dropped. */
export function takeDropped(event, then) {
  read([...(event.dataTransfer?.files ?? [])], then);
}

/** Saves a text under a name. */
export function saveFile(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/yaml" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Fetches a file that lies beside the page; none where it cannot be had. */
export async function fetchText(path) {
  const response = await fetch(new URL(path, document.baseURI));
  return response.ok ? await response.text() : undefined;
}
