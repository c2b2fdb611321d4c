// Loads what saves pictures, which is no part of the first view.
export async function savePicture(drawing, kind, name) {
  const { save } = await import(new URL("../../picture.js", import.meta.url));
  await save(drawing, kind, name);
}
