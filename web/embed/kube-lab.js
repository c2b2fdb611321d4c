// <kube-lab>: a Kubernetes cluster in a page. See docs/EMBEDDING.md.
//
// The simulator runs in a frame of its own, so that it and the page cannot harm each other. They
// talk through a MessagePort that only these two have.

const VERSION = 1;
const STYLE = `
:host { display: block; position: relative; min-height: 12rem; }
:host([hidden]) { display: none; }
iframe { display: block; width: 100%; height: 100%; border: 0; border-radius: 6px; }
.cover { position: absolute; inset: 0; display: grid; place-items: center; border: 0; padding: 0; width: 100%;
  border-radius: 6px; background: #e8ebf0 center / contain no-repeat; cursor: pointer; font: 600 1rem system-ui, sans-serif; }
.cover span { background: #1f3f8f; color: #fff; padding: .6rem 1.1rem; border-radius: 6px; }
.cover:focus-visible { outline: 3px solid #1f3f8f; outline-offset: 2px; }
:host([dark]) .cover { background-color: #1c2230; }
.note { margin: 0; padding: .75rem; font: .9rem system-ui, sans-serif; }
`;
const WORDS = {
  en: { start: "Start the cluster", frame: "Kubernetes cluster", silent: "The simulator did not answer." },
  de: { start: "Cluster starten", frame: "Kubernetes-Cluster", silent: "Der Simulator hat nicht geantwortet." },
};
// How long the frame may take until it says that it is there.
const PATIENCE_MS = 30000;

export class KubeLab extends HTMLElement {
  static observedAttributes = ["src", "scene", "exercise", "view", "focus", "state", "theme", "height", "readonly", "isolated", "lang", "label", "picture"];

  #root = this.attachShadow({ mode: "open" });
  #frame;
  #port;
  #asked = new Map();
  #next = 1;
  #waiting = [];
  #abort;
  #stop;
  #theme;
  #language;
  #manifest = "";
  #fit = 480;

  connectedCallback() {
    this.#abort = new AbortController();
    this.#manifest = dedent(this.textContent);
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    this.#root.adoptedStyleSheets = [sheet];
    this.#size();
    this.#watchPage();
    if (this.getAttribute("load") === "click") this.#cover();
    else this.start();
  }

  disconnectedCallback() {
    this.#abort.abort();
    this.#close("gone", "the element was removed");
    this.#frame = undefined;
    this.#root.replaceChildren();
  }

  attributeChangedCallback(name, before, after) {
    if (before === after || !this.isConnected || !this.#abort) return;
    if (name === "height") this.#size();
    else if (name === "theme" || name === "lang") this.#tellPage();
    else if ((name === "view" || name === "focus") && this.#port) this.view({ show: this.view_, focus: this.getAttribute("focus") ?? "" }).catch(() => {});
    else if (name === "label" || name === "picture") this.#frame || this.#cover();
    else if (this.#frame) this.start();
  }

  /** Loads the simulator; again, where it is loaded already. */
  start() {
    this.#close("restarted", "the simulator is loaded again");
    const address = this.#address();
    if (!address) return this.#fail("source", "src has to be an http or https address");
    const frame = document.createElement("iframe");
    frame.title = this.getAttribute("title") || this.#words().frame;
    // Without an origin of its own the simulator reaches nothing of the site that it comes from, nor that site's storage.
    const origin = this.hasAttribute("isolated") ? "" : " allow-same-origin";
    // Its prompts are forms, which go nowhere: the page's own policy sees to that.
    frame.setAttribute("sandbox", `allow-scripts allow-forms allow-downloads allow-popups allow-popups-to-escape-sandbox${origin}`);
    frame.setAttribute("allow", "clipboard-write");
    frame.referrerPolicy = "no-referrer";
    frame.src = address.href;
    this.#frame = frame;
    this.#root.replaceChildren(frame);
    const hello = new AbortController();
    const patience = setTimeout(() => this.#fail("silent", this.#words().silent), PATIENCE_MS);
    this.#stop = () => { clearTimeout(patience); hello.abort(); };
    addEventListener("message", (event) => {
      if (event.source !== frame.contentWindow || event.data?.kubarium !== VERSION) return;
      if (event.data.event === "failed") {
        this.#close("failed", String(event.data.message));
        return this.#fail("failed", String(event.data.message));
      }
      if (event.data.event !== "waiting") return;
      this.#stop();
      const channel = new MessageChannel();
      channel.port1.onmessage = (message) => this.#hear(message.data);
      this.#port = channel.port1;
      // Nothing secret is in it; a frame without an origin of its own can only be named by "*".
      frame.contentWindow.postMessage({ kubarium: VERSION, connect: true, theme: this.#themeNow() }, "*", [channel.port2]);
      for (const message of this.#waiting.splice(0)) this.#port.postMessage(message);
      this.#tellPage();
    }, { signal: hello.signal });
  }

  // --- What a page may ask ---------------------------------------------------------------------

  /** Applies manifests. */
  apply(manifests) { return this.ask("apply", { manifests: String(manifests) }); }
  /** Runs a command line. */
  run(command) { return this.ask("run", { command: String(command) }); }
  /** The whole state, as text. */
  state() { return this.ask("state", {}); }
  /** Begins a scene or an exercise, given as its file's text. */
  lesson(text) { return this.ask("lesson", { text: String(text) }); }
  /** Takes a state's place. */
  load(state) { return this.ask("load", { state: String(state) }); }
  /** Sends a packet, and tells its way. */
  trace(from, to) { return this.ask("trace", { from: String(from), to: String(to) }); }
  /** Shows something. */
  view({ show = "", focus = "" } = {}) { return this.ask("view", { show: String(show), focus: String(focus) }); }

  /** Asks anything of the protocol; the answer, or an Error with a `code`. */
  ask(ask, fields) {
    const id = this.#next++;
    const message = JSON.stringify({ ...fields, kubarium: VERSION, id, ask });
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      if (this.#port) this.#port.postMessage(message);
      else this.#waiting.push(message);
    });
  }

  // --- What it hears -----------------------------------------------------------------------------

  #hear(text) {
    let message;
    try { message = JSON.parse(text); } catch { return; }
    if (message?.kubarium !== VERSION) return;
    const asked = this.#asked.get(message.id);
    if (asked) {
      this.#asked.delete(message.id);
      if (message.ok) asked.resolve(message.answer);
      else asked.reject(Object.assign(new Error(message.message), { code: message.code }));
      return;
    }
    const { kubarium: _, event, ...detail } = message;
    if (event === "height") {
      this.#fit = Math.min(Math.max(Number(detail.height) || 0, 320), 900);
      return this.#size();
    }
    if (typeof event === "string") {
      const lesson = this.getAttribute("scene") ?? this.getAttribute("exercise");
      if (event === "ready" && isAddress(lesson)) this.#open(lesson);
      if (event === "ready" && this.#manifest && !this.hasAttribute("scene") && !this.hasAttribute("exercise")) this.apply(this.#manifest).catch((error) => this.#fail(error.code, error.message));
      this.dispatchEvent(new CustomEvent(`kube-${event}`, { detail, bubbles: true }));
    }
  }

  #fail(code, message) {
    this.dispatchEvent(new CustomEvent("kube-error", { detail: { code, message }, bubbles: true }));
  }

  /** Begins the lesson that an attribute names by its address, seen from this page. */
  async #open(address) {
    try {
      const answer = await fetch(new URL(address, document.baseURI));
      if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
      await this.lesson(await answer.text());
    } catch (error) {
      this.#fail(error.code ?? "source", `${address}: ${error.message}`);
    }
  }

  #close(code, message) {
    this.#stop?.();
    this.#port?.close();
    this.#port = undefined;
    this.#waiting = [];
    for (const { reject } of this.#asked.values()) reject(Object.assign(new Error(message), { code }));
    this.#asked.clear();
  }

  // --- How it looks --------------------------------------------------------------------------------

  get view_() { return this.getAttribute("view") ?? ""; }

  #address() {
    let address;
    try { address = new URL(this.getAttribute("src") ?? "./", KubeLab.base); } catch { return undefined; }
    if (address.protocol !== "https:" && address.protocol !== "http:") return undefined;
    address.searchParams.set("embed", "1");
    for (const name of ["view", "focus"]) if (this.getAttribute(name)) address.searchParams.set(name, this.getAttribute(name));
    if (this.hasAttribute("readonly")) address.searchParams.set("readonly", "1");
    this.#language = this.#languageNow();
    if (this.#language) address.searchParams.set("lang", this.#language);
    const [scene, exercise, state] = ["scene", "exercise", "state"].map((name) => this.getAttribute(name));
    if (isAddress(scene ?? exercise)) return address;
    if (scene) address.hash = `scene=${scene}`;
    else if (exercise) address.hash = `exercise=${exercise}`;
    else if (state) address.hash = state;
    return address;
  }

  #cover() {
    const cover = document.createElement("button");
    cover.className = "cover";
    cover.type = "button";
    const picture = this.getAttribute("picture");
    if (picture) cover.style.backgroundImage = `url(${JSON.stringify(new URL(picture, document.baseURI).href)})`;
    const words = document.createElement("span");
    words.textContent = this.getAttribute("label") || this.#words().start;
    cover.append(words);
    cover.addEventListener("click", () => this.start(), { once: true });
    this.#root.replaceChildren(cover);
  }

  #size() {
    const height = this.getAttribute("height");
    this.style.height = height ? (/^\d+$/.test(height) ? `${height}px` : height) : `${this.#fit}px`;
  }

  // The page's scheme shows in the colour of its text, however it is switched.
  #themeNow() {
    const theme = this.getAttribute("theme");
    if (theme === "light" || theme === "dark") return theme;
    const [r = 0, g = 0, b = 0] = (getComputedStyle(this).color.match(/[\d.]+/g) ?? []).map(Number);
    return r * 0.299 + g * 0.587 + b * 0.114 > 128 ? "dark" : "light";
  }

  // The language of the nearest element that has one, as everywhere in HTML.
  #languageNow() { return this.closest("[lang]")?.getAttribute("lang") ?? ""; }

  #words() { return WORDS[this.#languageNow().split("-")[0]] ?? WORDS.en; }

  #watchPage() {
    const tell = () => this.#tellPage();
    const watch = new MutationObserver(tell);
    for (const node of [document.documentElement, document.body]) watch.observe(node, { attributes: true });
    this.#abort.signal.addEventListener("abort", () => watch.disconnect());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell, { signal: this.#abort.signal });
    addEventListener("transitionend", tell, { signal: this.#abort.signal });
    tell();
  }

  #tellPage() {
    const [theme, language] = [this.#themeNow(), this.#languageNow()];
    this.toggleAttribute("dark", theme === "dark");
    if (theme !== this.#theme && this.#port) this.ask("theme", { theme }).catch(() => {});
    this.#theme = theme;
    // A frame that does not listen yet is told when it does.
    if (language === this.#language || (this.#frame && !this.#port)) return;
    this.#language = language;
    if (this.#port) this.ask("language", { language }).catch(() => {});
    else if (this.#root.firstChild) this.#cover();
  }
}

// The simulator's page lies one folder above this script, unless `src` says otherwise.
KubeLab.base = new URL("../", import.meta.url);

// A lesson of the simulator's own has a name; any other has an address, with a dot or a slash.
function isAddress(lesson) { return /[./]/.test(lesson ?? ""); }

function dedent(text) {
  const lines = text.replace(/^\s*\n|\s+$/g, "").split("\n");
  const indents = lines.filter((line) => line.trim()).map((line) => line.length - line.trimStart().length);
  const least = indents.length ? Math.min(...indents) : 0;
  return lines.map((line) => line.slice(least)).join("\n");
}

if (!customElements.get("kube-lab")) customElements.define("kube-lab", KubeLab);
