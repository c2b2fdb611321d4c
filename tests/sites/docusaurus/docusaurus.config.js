// The smallest site of Docusaurus with a live cluster: the recipe in docs/EMBEDDING.md.
export default {
  title: "Site",
  url: "http://127.0.0.1",
  baseUrl: "/site/",
  onBrokenLinks: "ignore",
  scripts: [{ src: "/embed/kube-lab.js", type: "module" }],
  presets: [["classic", { docs: { routeBasePath: "/" }, blog: false }]],
};
