// Loads the editor's own file, which lies beside the page and is no part of the first view.
export async function loadEditor() {
  return await import(new URL("editor.js", document.baseURI));
}
