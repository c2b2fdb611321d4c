// The design tokens' colours: text at least 4.5 to 1, lines at least 3 to 1, in both themes; the layers' hues apart from
// each other, also to eyes that do not tell red from green.
import { readFileSync } from "node:fs";
import { expect, test } from "@playwright/test";

const css = readFileSync(new URL("../../web/styles/tokens.css", import.meta.url), "utf8");
const themes = { light: {}, dark: {} };
for (const [, name, light, dark] of css.matchAll(/--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)/g)) {
  themes.light[name] = light;
  themes.dark[name] = dark;
}

const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255);
const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
const luminance = (hex) => rgb(hex).map(linear).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const contrast = (a, b) => {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
};

// Full dichromacy, in linear RGB (Viénot, Brettel and Mollon 1999).
const EYES = {
  all: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  protan: [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
  deutan: [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
};
const seen = (hex, eye) => eye.map((row) => Math.max(0, rgb(hex).map(linear).reduce((sum, c, i) => sum + c * row[i], 0)));
/** Oklab, from linear RGB. */
const lab = ([r, g, b]) => {
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
};
const apart = (a, b, eye) => Math.hypot(...lab(seen(a, eye)).map((c, i) => c - lab(seen(b, eye))[i]));

const LAYERS = ["link", "bridge", "routing", "netfilter", "tunnel", "app"].map((layer) => `layer-${layer}`);
const TEXT = ["ink", "ink-2", "accent", "good", "warn", "bad", "syntax-key", "syntax-string", "syntax-anchor", ...LAYERS];

for (const [theme, colours] of Object.entries(themes)) {
  test(`contrasts: ${theme}`, () => {
    const low = [];
    const need = (least, a, b) => {
      const reached = contrast(colours[a], colours[b]);
      if (!(reached >= least)) low.push(`${a} on ${b}: ${reached.toFixed(2)}`);
    };
    for (const ground of ["canvas", "surface", "float"]) {
      for (const text of TEXT) need(4.5, text, ground);
      need(3, "line-strong", ground);
    }
    for (const ground of ["line-soft", "select-soft"]) for (const text of ["ink", "ink-2", "accent", "syntax-key", "syntax-string"]) need(4.5, text, ground);
    for (const text of ["ink", "ink-2"]) need(4.5, text, "select");
    for (const layer of LAYERS) {
      need(4.5, layer, `${layer}-soft`);
      need(4.5, "ink", `${layer}-soft`);
    }
    need(4.5, "on-accent", "accent");
    expect(low).toEqual([]);
  });

  for (const [eye, matrix] of Object.entries(EYES)) {
    test(`the layers' hues are apart: ${theme}, ${eye}`, () => {
      const close = [];
      LAYERS.forEach((a, i) => LAYERS.slice(i + 1).forEach((b) => {
        const distance = apart(colours[a], colours[b], matrix);
        // 0.02 is about one just noticeable step in Oklab. Hues are never the only sign of a layer.
        if (distance < (eye === "all" ? 0.08 : 0.02)) close.push(`${a} and ${b}: ${distance.toFixed(3)}`);
      }));
      expect(close).toEqual([]);
    });
  }
}
