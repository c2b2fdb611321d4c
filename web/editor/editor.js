// The YAML editor: CodeMirror behind the few calls that the page needs. Lines and columns count from 1; a column is a
// character of the line, as the YAML front end counts it.
import { EditorState } from "@codemirror/state";
import {
  EditorView, keymap, lineNumbers, highlightActiveLine, highlightActiveLineGutter, drawSelection, highlightSpecialChars,
} from "@codemirror/view";
import { defaultKeymap, history, historyKeymap, indentLess, indentMore } from "@codemirror/commands";
import { HighlightStyle, syntaxHighlighting, indentUnit, bracketMatching, foldGutter, foldKeymap } from "@codemirror/language";
import { yaml } from "@codemirror/lang-yaml";
import { setDiagnostics as putDiagnostics, lintKeymap } from "@codemirror/lint";
import { search, searchKeymap, highlightSelectionMatches } from "@codemirror/search";
import { tags } from "@lezer/highlight";
import { asking, offset as position } from "./ask.js";

// Colours come from the page's tokens, which custom properties carry into the shadow tree.
const look = EditorView.theme({
  "&": { height: "100%", color: "var(--ink)", backgroundColor: "var(--surface)", fontSize: "var(--text-13)" },
  "&.cm-focused": { outline: "2px solid var(--focus)", outlineOffset: "-2px" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "20px" },
  ".cm-content": { caretColor: "var(--ink)", padding: "8px 0" },
  ".cm-cursor": { borderLeftColor: "var(--ink)", borderLeftWidth: "2px" },
  ".cm-gutters": { backgroundColor: "var(--surface)", color: "var(--ink-2)", border: "none" },
  ".cm-lineNumbers .cm-gutterElement": { minWidth: "32px", padding: "0 4px 0 8px" },
  ".cm-foldGutter .cm-gutterElement": { color: "var(--ink-2)", width: "16px" },
  ".cm-activeLine": { backgroundColor: "var(--line-soft)" },
  ".cm-activeLineGutter": { backgroundColor: "var(--line-soft)", color: "var(--ink)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "var(--select)" },
  ".cm-selectionMatch": { backgroundColor: "var(--select-soft)" },
  "&.cm-focused .cm-matchingBracket": { backgroundColor: "var(--select)", outline: "none" },
  ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy var(--bad) 1.5px", textUnderlineOffset: "3px" },
  ".cm-lintRange-warning": { backgroundImage: "none", textDecoration: "underline wavy var(--warn) 1.5px", textUnderlineOffset: "3px" },
  ".cm-lintRange-hint": { backgroundImage: "none", textDecoration: "underline dotted var(--ink-2) 1.5px", textUnderlineOffset: "3px" },
  ".cm-tooltip": {
    backgroundColor: "var(--float)", color: "var(--ink)", border: "1px solid var(--line-strong)", borderRadius: "var(--radius)",
    boxShadow: "var(--shadow)", fontFamily: "var(--sans)", fontSize: "var(--text-13)", maxWidth: "48ch",
  },
  ".offers ul": { margin: 0, padding: "4px 0", maxHeight: "220px", overflow: "auto", listStyle: "none", minWidth: "220px" },
  ".offers li": { display: "flex", justifyContent: "space-between", gap: "16px", padding: "2px 12px", lineHeight: "22px", cursor: "pointer" },
  ".offers li .label": { fontFamily: "var(--mono)" },
  ".offers li[aria-selected=true]": { backgroundColor: "var(--select)" },
  ".offers li .detail, .told .detail": { color: "var(--ink-2)", whiteSpace: "nowrap" },
  ".offers li[aria-selected=true] .detail": { color: "var(--ink)" },
  ".offers p": { margin: 0, padding: "6px 12px", borderTop: "1px solid var(--line)", color: "var(--ink-2)", maxWidth: "40ch" },
  ".told": { padding: "8px 12px" },
  ".told p": { margin: "2px 0" },
  ".told p.detail": { whiteSpace: "normal" },
  ".told .head": { display: "flex", flexWrap: "wrap", justifyContent: "space-between", gap: "0 16px" },
  ".told code": { fontFamily: "var(--mono)", overflowWrap: "anywhere" },
  ".cm-diagnostic": { padding: "8px 12px", borderLeft: "3px solid var(--ink-2)" },
  ".cm-diagnostic-error": { borderLeftColor: "var(--bad)" },
  ".cm-diagnostic-warning": { borderLeftColor: "var(--warn)" },
  ".hint": { display: "block", marginTop: "4px", color: "var(--ink-2)" },
  ".cm-panels": { backgroundColor: "var(--surface)", color: "var(--ink)", borderColor: "var(--line)" },
  ".cm-panels .cm-textfield": { backgroundColor: "var(--canvas)", color: "var(--ink)", border: "1px solid var(--line-strong)", borderRadius: "4px" },
  ".cm-panels .cm-button": { backgroundImage: "none", backgroundColor: "var(--canvas)", color: "var(--ink)", border: "1px solid var(--line-strong)", borderRadius: "4px" },
  ".cm-searchMatch": { backgroundColor: "var(--select-soft)", outline: "1px solid var(--line-strong)" },
  ".cm-searchMatch-selected": { backgroundColor: "var(--select)" },
  ".cm-foldPlaceholder": { backgroundColor: "var(--canvas)", border: "1px solid var(--line-strong)", color: "var(--ink-2)", padding: "0 4px" },
});

const colours = HighlightStyle.define([
  { tag: [tags.definition(tags.propertyName), tags.propertyName], color: "var(--syntax-key)" },
  { tag: [tags.string, tags.special(tags.string), tags.attributeValue], color: "var(--syntax-string)" },
  { tag: [tags.comment, tags.lineComment], color: "var(--ink-2)", fontStyle: "italic" },
  { tag: [tags.meta, tags.documentMeta, tags.separator, tags.punctuation, tags.squareBracket, tags.brace], color: "var(--ink-2)" },
  { tag: [tags.labelName, tags.typeName, tags.keyword], color: "var(--syntax-anchor)" },
]);

/**
 * Puts an editor into `parent`.
 * @param {HTMLElement} parent an empty element that the editor fills
 * @param {string} doc the first text
 * @param {(text: string) => void} onChange called with the whole text after each change by the person
 * @param {{label: string, offers?: string, required?: string, usual?: string, allowed?: string, phrases?: Record<string, string>}} words
 *   what assistive technology calls it; the words of its lists; CodeMirror's own words in the page's language
 * @param {(kind: string, text: string, line: number, column: number, then: (json: string) => void) => void} [ask]
 *   asks the core what could stand (`offers`), or stands (`told`), at a place
 */
export function create(parent, doc, onChange, words, ask) {
  // A shadow root, because only there does CodeMirror use style sheet objects, which the page's policy allows,
  // instead of <style> elements, which it does not.
  const root = parent.shadowRoot ?? parent.attachShadow({ mode: "open" });
  let quiet = false;

  const extensions = [
    ask ? asking(ask, words) : [],
    lineNumbers(), foldGutter(), history(), drawSelection(), highlightSpecialChars(),
    highlightActiveLine(), highlightActiveLineGutter(), highlightSelectionMatches(), bracketMatching(),
    indentUnit.of("  "), EditorState.tabSize.of(2),
    yaml(), syntaxHighlighting(colours), search({ top: true }), look,
    EditorState.phrases.of(words.phrases ?? {}),
    EditorView.contentAttributes.of({ "aria-label": words.label, tabindex: "0" }),
    keymap.of([
      ...defaultKeymap, ...historyKeymap, ...foldKeymap, ...lintKeymap, ...searchKeymap,
      // Tab leaves the editor, as it leaves everything else on the page; these two indent.
      { key: "Mod-]", run: indentMore }, { key: "Mod-[", run: indentLess },
    ]),
    // Over a selection the browser's own typing would leave style attributes behind, which the page's policy refuses.
    EditorView.domEventHandlers({
      beforeinput(event, view) {
        if (event.inputType !== "insertText" || event.isComposing || !event.data || view.state.selection.main.empty) return false;
        event.preventDefault();
        view.dispatch(view.state.replaceSelection(event.data), { userEvent: "input.type", scrollIntoView: true });
        return true;
      },
    }),
    EditorView.updateListener.of((update) => {
      if (update.docChanged && !quiet) onChange(update.state.doc.toString());
    }),
  ];
  const begin = (doc) => EditorState.create({ doc, extensions });
  const view = new EditorView({ root, parent: root, state: begin(doc) });
  /** What was written in the other files, each with its own undo history and cursor. */
  const others = new Map();
  let shown;

  const offset = (line, column) => position(view.state, line, column);
  const setDoc = (text) => {
    if (text === view.state.doc.toString()) return;
    quiet = true;
    view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
    quiet = false;
  };

  return {
    getDoc: () => view.state.doc.toString(),
    setDoc,
    /** Shows another file. @param {number} id @param {string} text */
    show(id, text) {
      if (shown !== undefined && shown !== id) {
        others.set(shown, view.state);
        view.setState(others.get(id) ?? begin(text));
        others.delete(id);
      }
      shown = id;
      setDoc(text);
    },
    /** @param {{line: number, column: number, endLine: number, endColumn: number, severity: "error"|"warning"|"hint", message: string, hint?: string}[]} list */
    setDiagnostics(list) {
      const marks = list.map((d) => {
        const from = offset(d.line, d.column);
        const to = Math.max(offset(d.endLine, d.endColumn), Math.min(from + 1, view.state.doc.lineAt(from).to));
        return {
          from, to, severity: d.severity, message: d.message,
          renderMessage() {
            const box = document.createElement("span");
            box.textContent = d.message;
            if (d.hint) {
              const hint = document.createElement("span");
              hint.className = "hint";
              hint.textContent = d.hint;
              box.append(hint);
            }
            return box;
          },
        };
      });
      marks.sort((a, b) => a.from - b.from);
      view.dispatch(putDiagnostics(view.state, marks));
    },
    goTo(line, column) {
      const at = offset(line, column);
      view.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: "center" }) });
      view.focus();
    },
    /** The line of the cursor, from 1. */
    line: () => view.state.doc.lineAt(view.state.selection.main.head).number,
    focus: () => view.focus(),
    destroy: () => view.destroy(),
  };
}
