// Saves a drawing of the page as a file: its styles are written into it, so that it looks the same elsewhere. What is no
// drawing, such as the chains of a node, becomes one.
const SVG = "http://www.w3.org/2000/svg";
const KEPT = [
  "fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "stroke-linecap", "stroke-linejoin",
  "paint-order", "opacity", "font-family", "font-size", "font-weight", "font-style", "text-anchor",
];
const MARGIN = 16;

function make(name, attributes) {
  const made = document.createElementNS(SVG, name);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  return made;
}

/** A copy of a drawing with its styles in it. */
function styled(drawing) {
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
  return copy;
}

/** A drawing, or the layers of one, as a document of its own, with everything on it in sight. */
function standalone(drawing) {
  const [ground, ...above] = drawing instanceof SVGElement ? [drawing] : drawing.children;
  const copy = styled(ground);
  for (const layer of above) copy.append(...styled(layer).childNodes);
  // What stays in sight while a drawing is scrolled goes back to its place.
  if (!above.length) copy.querySelectorAll(":scope > g[transform]").forEach((group) => group.removeAttribute("transform"));
  const shown = ground.viewBox.baseVal;
  return framed(copy, shown?.width ? shown : whole([ground, ...above].map((layer) => layer.getBBox())));
}

/** The box around boxes. */
function whole(boxes) {
  const end = (box) => [box.x + box.width, box.y + box.height];
  const some = boxes.filter((box) => box.width);
  const [x, y] = [Math.min(...some.map((box) => box.x)), Math.min(...some.map((box) => box.y))];
  return { x, y, width: Math.max(...some.map((box) => end(box)[0])) - x, height: Math.max(...some.map((box) => end(box)[1])) - y };
}

/** A drawing with its ground and a margin around the box of what is on it. */
function framed(drawing, box) {
  const [x, y, width, height] = [box.x - MARGIN, box.y - MARGIN, box.width + 2 * MARGIN, box.height + 2 * MARGIN];
  drawing.setAttribute("xmlns", SVG);
  drawing.setAttribute("viewBox", `${x} ${y} ${width} ${height}`);
  drawing.setAttribute("width", width);
  drawing.setAttribute("height", height);
  drawing.prepend(make("rect", { x, y, width, height, fill: getComputedStyle(document.body).backgroundColor }));
  return { text: new XMLSerializer().serializeToString(drawing), width, height };
}

/** The lines into which a text is broken, each with its place. */
function linesOf(text) {
  const range = document.createRange();
  const lines = [];
  for (let i = 0; i < text.length; i++) {
    range.setStart(text, i);
    range.setEnd(text, i + 1);
    const [rect] = range.getClientRects();
    if (!rect?.width) continue;
    const last = lines.at(-1);
    if (last && Math.abs(last.top - rect.top) < 2) [last.text, last.right] = [last.text + text.data[i], rect.right];
    else lines.push({ text: text.data[i], left: rect.left, right: rect.right, top: rect.top, bottom: rect.bottom });
  }
  return lines;
}

/** A part of the page as a drawing: its grounds and edges as rectangles, each line of its text as text, drawings as they are. */
function sketched(part) {
  const scrolled = [];
  for (let at = part; at; at = at.parentElement) if (at.scrollTop || at.scrollLeft) scrolled.push([at, at.scrollTop, at.scrollLeft]);
  scrolled.forEach(([at]) => at.scrollTo(0, 0));
  const { left, top } = part.getBoundingClientRect();
  const drawing = make("svg", {});
  const draw = (node) => {
    if (node.nodeType === Node.TEXT_NODE) {
      const style = getComputedStyle(node.parentElement);
      const size = parseFloat(style.fontSize);
      for (const line of linesOf(node)) {
        const text = make("text", {
          x: line.left - left, y: (line.top + line.bottom) / 2 - top + size * 0.35, textLength: line.right - line.left, "xml:space": "preserve",
          fill: style.color, "font-family": style.fontFamily, "font-size": size, "font-weight": style.fontWeight,
        });
        text.textContent = line.text;
        drawing.append(text);
      }
      return;
    }
    if (node.nodeType !== Node.ELEMENT_NODE || node.matches("[aria-haspopup], .unseen, input, select")) return;
    const style = getComputedStyle(node);
    const box = node.getBoundingClientRect();
    if (style.display === "none" || !box.width) return;
    const [x, y] = [box.left - left, box.top - top];
    if (node instanceof SVGSVGElement) {
      const copy = styled(node);
      Object.entries({ x, y, width: box.width, height: box.height }).forEach(([name, value]) => copy.setAttribute(name, value));
      drawing.append(copy);
      return;
    }
    const ground = (width, fill) => drawing.append(make("rect", { x, y, width, height: box.height, fill }));
    if (!/, 0\)$|^transparent$/.test(style.backgroundColor)) ground(box.width, style.backgroundColor);
    if (parseFloat(style.borderLeftWidth)) ground(parseFloat(style.borderLeftWidth), style.borderLeftColor);
    node.childNodes.forEach(draw);
  };
  draw(part);
  const made = framed(drawing, { x: 0, y: 0, width: part.scrollWidth, height: part.scrollHeight });
  scrolled.forEach(([at, down, right]) => at.scrollTo(right, down));
  return made;
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
  const isDrawing = drawing instanceof SVGElement || drawing.matches(".stage");
  const made = isDrawing ? standalone(drawing) : sketched(drawing);
  const blob = kind === "png" ? await png(made) : new Blob([made.text], { type: "image/svg+xml" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `kubarium-${name}.${kind}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
