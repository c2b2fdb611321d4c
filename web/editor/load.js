// Loads the editor's own file, which lies in the folder of the page's module and is no part of the first view.
export async function loadEditor() {
  return await import(new URL("../../../editor.js", import.meta.url));
}
