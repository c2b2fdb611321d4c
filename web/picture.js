// Saves a drawing of the page as a file: its styles are written into it, so that it looks the same elsewhere.
const KEPT = [
  "fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "stroke-linecap", "stroke-linejoin",
  "paint-order", "opacity", "font-family", "font-size", "font-weight", "font-style", "text-anchor",
];
const MARGIN = 16;

/** The drawing as a document of its own, with everything on it in sight. */
function standalone(drawing) {
  const copy = drawing.cloneNode(true);
  const from = [drawing, ...drawing.querySelectorAll("*")];
  const to = [copy, ...copy.querySelectorAll("*")];
  const hidden = [];
  from.forEach((element, i) => {
    const style = getComputedStyle(element);
    if (style.display === "none") hidden.push(to[i]);
    for (const name of KEPT) to[i].setAttribute(name, style.getPropertyValue(name));
    for (const name of ["class", "style", "tabindex", "role", "aria-label", "aria-hidden"]) to[i].removeAttribute(name);
  });
  hidden.forEach((element) => element.remove());
  // What stays in sight while a drawing is scrolled goes back to its place.
  copy.querySelectorAll(":scope > g[transform]").forEach((group) => group.removeAttribute("transform"));
  const shown = drawing.viewBox.baseVal;
  const box = shown?.width ? shown : drawing.getBBox();
  const [x, y, width, height] = [box.x - MARGIN, box.y - MARGIN, box.width + 2 * MARGIN, box.height + 2 * MARGIN];
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("viewBox", `${x} ${y} ${width} ${height}`);
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  const ground = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  const colour = getComputedStyle(document.body).backgroundColor;
  Object.entries({ x, y, width, height, fill: colour }).forEach(([name, value]) => ground.setAttribute(name, value));
  copy.prepend(ground);
  return { text: new XMLSerializer().serializeToString(copy), width, height };
}

async function png({ text, width, height }) {
  const image = new Image();
  image.src = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  await image.decode();
  // Twice the size, for projectors and print, as far as browsers allow.
  const scale = Math.min(2, 8000 / Math.max(width, height));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width * scale, height * scale];
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(image.src);
  return new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture"))), "image/png"));
}

export async function save(drawing, kind, name) {
  const made = standalone(drawing);
  const blob = kind === "png" ? await png(made) : new Blob([made.text], { type: "image/svg+xml" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `kubarium-${name}.${kind}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
