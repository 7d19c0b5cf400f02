// Where one is, and the ways up and down. Every way is a link with an address of its own.

import { h } from "./dom.ts";
import { foreign } from "./names.ts";
import { readsCalls, write, type State } from "./state.ts";
import type { Range } from "./time.ts";

export type Go = (change: Partial<State>) => void;

/** A link to another state. With a key held down it is the browser's, to open it elsewhere. */
export function link(state: State, change: Partial<State>, go: Go, name: Node | string): HTMLElement {
  const click = (event: Event): void => {
    const { ctrlKey, metaKey, shiftKey } = event as MouseEvent;
    if (ctrlKey || metaKey || shiftKey) return;
    event.preventDefault();
    go(change);
  };
  return h("a", { href: write({ ...state, ...change }), click }, name);
}

/** The tenant's path, what else is chosen, and when. */
export function path(state: State, range: Range, go: Go): Node[] {
  const segments = state.tenant === "" ? [] : state.tenant.split("/");
  const steps = ["", ...segments.map((_, index) => segments.slice(0, index + 1).join("/"))];
  const items = steps.map((tenant, index) => {
    const name = index === 0 ? "All tenants" : foreign(segments[index - 1] ?? "");
    const here = () => h("h1", { id: "where", tabindex: -1, "aria-current": "page" }, name);
    return h("li", {}, index === steps.length - 1 ? here() : link(state, { tenant, search: "" }, go, name));
  });
  const chosen = (["provider", "model"] as const).flatMap((name) => {
    const value = state[name];
    if (value === undefined) return [];
    const off: Partial<State> = name === "provider" ? { provider: undefined, model: undefined } : { model: undefined };
    return [
      h("li", {}, `only ${name} `, h("strong", {}, foreign(value)), ", ", link(state, off, go, `show all ${name}s`)),
    ];
  });
  const when = h(
    "p",
    { class: "quiet", id: "when" },
    `${range.since} to ${range.until}, time zone ${state.zone}`,
    readsCalls(state, range) && ": read from single calls, which takes longer than days and months in UTC",
  );
  return [
    h("ol", { class: "path" }, ...items),
    ...(chosen.length > 0 ? [h("ul", { class: "chosen" }, ...chosen)] : []),
    when,
  ];
}
