/** What a command printed, and its exit status. */
export interface Output { output: string; status: number }
/** What is shown: a view (`map`, `packet`, …), and what is selected (`pod:default/web`). */
export interface View { show?: string; focus?: string }
/** Why a question failed. */
export interface KubeError extends Error {
  code: "invalid" | "unknown" | "version" | "busy" | "readonly" | "failed" | "gone" | "restarted" | "source" | "silent";
}

export interface KubeEvents {
  "kube-ready": CustomEvent<Record<string, never>>;
  "kube-applied": CustomEvent<Output>;
  "kube-verdict": CustomEvent<{ from: string; to: string; verdict: string; reason: string }>;
  "kube-task-done": CustomEvent<{ exercise: string; task: string; done: number; of: number }>;
  "kube-exercise-done": CustomEvent<{ exercise: string }>;
  "kube-error": CustomEvent<{ code: string; message: string }>;
}

/** The element `<kube-lab>`: docs/EMBEDDING.md. */
export class KubeLab extends HTMLElement {
  /** The simulator's page, where no `src` is given. */
  static base: URL;
  start(): void;
  apply(manifests: string): Promise<Output>;
  run(command: string): Promise<Output>;
  state(): Promise<string>;
  lesson(text: string): Promise<null>;
  load(state: string): Promise<null>;
  trace(from: string, to: string): Promise<unknown>;
  view(view?: View): Promise<null>;
  ask(ask: string, fields: Record<string, unknown>): Promise<unknown>;
}

declare global {
  interface HTMLElementTagNameMap { "kube-lab": KubeLab }
}
