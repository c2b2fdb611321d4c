// What the simulator's core says about the place at the cursor: what could stand there, in a list below it, and what
// stands there, in a box above it. The core answers in JSON; here it is only shown.
import { Prec, StateEffect, StateField } from "@codemirror/state";
import { EditorView, hoverTooltip, keymap, showTooltip } from "@codemirror/view";

/** Where a position is: line, and column in characters, both from 1. */
function place(state, at) {
  const line = state.doc.lineAt(at);
  return [line.number, [...line.text.slice(0, at - line.from)].length + 1];
}

/** The position of a line's column, held inside the document. */
export function offset(state, line, column) {
  const at = state.doc.line(Math.min(Math.max(line, 1), state.doc.lines));
  const before = [...at.text].slice(0, Math.max(column - 1, 0)).join("");
  return at.from + before.length;
}

const element = (tag, name, ...inside) => {
  const made = document.createElement(tag);
  made.className = name;
  made.append(...inside);
  return made;
};

/**
 * The extension.
 * @param {(kind: string, text: string, line: number, column: number, then: (json: string) => void) => void} ask
 * @param {{offers: string, required: string, usual: string, allowed: string}} words
 */
export function asking(ask, words) {
  const set = StateEffect.define();
  const box = StateEffect.define();
  let asked = 0;

  /** Asks about a position; the answer to an older question is not waited for. */
  const question = (kind, view, at) =>
    new Promise((then) => {
      const { state } = view;
      ask(kind, state.doc.toString(), ...place(state, at), (json) => then(json && view.state.doc.eq(state.doc) ? JSON.parse(json) : null));
    });

  // --- What could stand there
  const list = StateField.define({
    create: () => null,
    update(value, change) {
      for (const effect of change.effects) if (effect.is(set)) return effect.value;
      if (!value) return null;
      if (change.docChanged) {
        const at = change.state.selection.main.head;
        const from = change.changes.mapPos(value.from, -1);
        const word = change.state.sliceDoc(from, at).toLowerCase();
        if (at < from || /[\s:]/.test(word)) return null;
        const offers = value.offers.filter((offer) => offer.label.toLowerCase().includes(word));
        return offers.length ? { ...value, from, to: Math.max(at, change.changes.mapPos(value.to)), offers, chosen: 0 } : null;
      }
      return change.selection ? null : value;
    },
    provide: (field) => [
      showTooltip.from(field, (value) => value && { pos: value.from, create: (view) => ({ dom: draw(view, value) }) }),
      EditorView.contentAttributes.compute([field], (state) => {
        const value = state.field(field);
        return value
          ? { "aria-autocomplete": "list", "aria-controls": "offers", "aria-activedescendant": `offer-${value.chosen}` }
          : { "aria-autocomplete": "list" };
      }),
    ],
  });

  function draw(view, { offers, chosen }) {
    const rows = offers.map((offer, at) => {
      const row = element("li", "", element("span", "label", offer.label), element("span", "detail", offer.required ? `${offer.detail} · ${words.required}` : offer.detail));
      row.id = `offer-${at}`;
      row.role = "option";
      row.ariaSelected = String(at === chosen);
      // A click chooses without taking the focus away.
      row.addEventListener("mousedown", (event) => {
        event.preventDefault();
        take(view, at);
      });
      return row;
    });
    const options = element("ul", "", ...rows);
    options.id = "offers";
    options.role = "listbox";
    options.ariaLabel = words.offers;
    const said = offers[chosen].words;
    const drawn = element("div", "offers", options, ...(said ? [element("p", "", said)] : []));
    requestAnimationFrame(() => rows[chosen].scrollIntoView({ block: "nearest" }));
    return drawn;
  }

  async function offer(view) {
    const mine = ++asked;
    const at = view.state.selection.main.head;
    const found = await question("offers", view, at);
    if (!found || mine !== asked || at !== view.state.selection.main.head) return;
    const { number } = view.state.doc.lineAt(at);
    const [from, to] = [offset(view.state, number, found.from), offset(view.state, number, found.to)];
    // A word that stands there whole already needs no list.
    const whole = found.offers.length === 1 && found.offers[0].insert.trim() === view.state.sliceDoc(from, to);
    view.dispatch({ effects: set.of(found.offers.length && !whole ? { ...found, from, to, chosen: 0 } : null) });
  }

  function take(view, at) {
    const value = view.state.field(list);
    const insert = value.offers[at].insert;
    view.dispatch({
      changes: { from: value.from, to: value.to, insert },
      selection: { anchor: value.from + insert.length },
      effects: set.of(null), userEvent: "input.complete", scrollIntoView: true,
    });
    view.focus();
    if (/[\s-]$/.test(insert)) offer(view);
    return true;
  }

  const step = (by) => (view) => {
    const value = view.state.field(list);
    if (!value) return false;
    const chosen = (value.chosen + by + value.offers.length) % value.offers.length;
    view.dispatch({ effects: set.of({ ...value, chosen }) });
    return true;
  };
  const accept = (view) => {
    const value = view.state.field(list);
    return value ? take(view, value.chosen) : false;
  };

  // --- What stands there
  function describe(told) {
    const head = element("p", "head", element("code", "", told.path), element("span", "detail", told.required ? `${told.type} · ${words.required}` : told.type));
    const rows = [head];
    if (told.words) rows.push(element("p", "", told.words));
    if (told.default) rows.push(element("p", "detail", `${words.usual} `, element("code", "", told.default)));
    if (told.allowed.length) rows.push(element("p", "detail", `${words.allowed} `, element("code", "", told.allowed.join(", "))));
    const drawn = element("div", "told", ...rows);
    drawn.role = "status";
    return drawn;
  }
  const about = StateField.define({
    create: () => null,
    update(value, change) {
      for (const effect of change.effects) if (effect.is(box)) return effect.value;
      return change.docChanged || change.selection ? null : value;
    },
    provide: (field) => showTooltip.from(field, (value) => value && { pos: value.at, above: true, create: () => ({ dom: describe(value.told) }) }),
  });
  async function tell(view) {
    const at = view.state.selection.main.head;
    const told = await question("told", view, at);
    if (told) view.dispatch({ effects: [box.of({ at, told }), set.of(null)] });
  }
  const hover = hoverTooltip(async (view, at) => {
    const told = await question("told", view, at);
    if (!told) return null;
    const { number } = view.state.doc.lineAt(at);
    const [pos, end] = [offset(view.state, number, told.from), offset(view.state, number, told.to)];
    return at < pos || at > end ? null : { pos, end, above: true, create: () => ({ dom: describe(told) }) };
  });

  let later;
  return [
    list, about, hover,
    EditorView.updateListener.of(({ view, transactions, docChanged }) => {
      if (!docChanged) return;
      asked++;
      const typed = transactions.some((t) => t.isUserEvent("input.type"));
      const deleted = view.state.field(list) && transactions.some((t) => t.isUserEvent("delete"));
      clearTimeout(later);
      const before = view.state.sliceDoc(Math.max(view.state.selection.main.head - 1, 0), view.state.selection.main.head);
      if (deleted || (typed && /[\w.\/-]/.test(before))) later = setTimeout(() => offer(view), 60);
    }),
    EditorView.domEventHandlers({
      blur(_, view) {
        if (view.state.field(list)) view.dispatch({ effects: set.of(null) });
      },
    }),
    Prec.highest(keymap.of([
      { key: "Ctrl-Space", run: (view) => (offer(view), true) },
      { key: "F1", run: (view) => (tell(view), true) },
      { key: "ArrowDown", run: step(1) }, { key: "ArrowUp", run: step(-1) },
      { key: "PageDown", run: step(8) }, { key: "PageUp", run: step(-8) },
      { key: "Enter", run: accept }, { key: "Tab", run: accept },
      {
        key: "Escape",
        run(view) {
          if (!view.state.field(list) && !view.state.field(about)) return false;
          view.dispatch({ effects: [set.of(null), box.of(null)] });
          return true;
        },
      },
    ])),
  ];
}
