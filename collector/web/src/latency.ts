// How long calls took. The collector reads the calls for it, so it is shown to those who ask for it.

import type { Latency, LatencyLine, Percentiles } from "./api.ts";
import { h } from "./dom.ts";
import { count, counted, visible } from "./names.ts";
import { columns } from "./questions.ts";
import type { State } from "./state.ts";
import { label } from "./tables.ts";

type Measure = "time_to_first_token_us" | "duration_us" | "time_per_output_token_us";
const MEASURES: [Measure, string][] = [
  ["time_to_first_token_us", "To the first token"],
  ["duration_us", "Whole call"],
  ["time_per_output_token_us", "Per output token"],
];
const PERCENTILES = ["p50", "p90", "p99"] as const satisfies readonly (keyof Percentiles)[];

/** A button, and what it brings, or why it brings nothing. */
export function latency(state: State, found: Latency | string | undefined, ask: (shown: boolean) => void): HTMLElement {
  if (found === undefined)
    return h(
      "p",
      {},
      h("button", { type: "button", id: "latency-toggle", click: () => ask(true) }, "Show latencies"),
      h("span", { class: "quiet" }, " They are read from each call of the range: a million takes some seconds."),
    );
  const hide = h("button", { type: "button", id: "latency-toggle", click: () => ask(false) }, "Hide");
  if (typeof found === "string") return h("div", {}, h("p", { class: "problem" }, visible(found)), h("p", {}, hide));
  if (found.lines.length === 0)
    return h("div", {}, h("p", {}, "No completed calls."), incomplete(found), h("p", {}, hide));
  const most = [...found.lines].sort((one, other) => other.calls - one.calls).slice(0, state.top);
  const name = (line: LatencyLine): HTMLElement =>
    label(
      state,
      columns(state).map((column) => String(line[column] ?? "")),
    );
  const head = h(
    "thead",
    {},
    h(
      "tr",
      {},
      h("td", { colspan: 2 }),
      ...MEASURES.map(([, title]) => h("th", { scope: "colgroup", colspan: PERCENTILES.length }, title)),
    ),
    h(
      "tr",
      {},
      h("th", { scope: "col" }, state.by),
      h("th", { scope: "col" }, "Calls"),
      ...MEASURES.flatMap(() => PERCENTILES.map((of) => h("th", { scope: "col" }, of))),
    ),
  );
  const row = (title: Node | string, line: LatencyLine): HTMLElement =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, title),
      h("td", {}, count(line.calls)),
      ...MEASURES.flatMap(([measure]) => PERCENTILES.map((of) => h("td", {}, time(line[measure]?.[of])))),
    );
  const table = h(
    "table",
    { id: "latency-lines" },
    h("caption", {}, `Latency by ${state.by}`),
    head,
    h("tbody", {}, ...most.map((line) => row(name(line), line))),
    h("tfoot", {}, row("all", found.total)),
  );
  const others = found.lines.length - most.length;
  return h(
    "div",
    {},
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Table of latencies` }, table),
    others > 0 && h("p", { class: "quiet" }, `Those with the most calls; ${count(others)} more are in "all" alone.`),
    incomplete(found),
    h("p", {}, hide),
  );
}

function incomplete(found: Latency): HTMLElement | undefined {
  if (found.incomplete === 0) return undefined;
  return h(
    "p",
    { class: "quiet" },
    `Without ${counted(found.incomplete, "call")} that broke off, failed or were refused.`,
  );
}

/** A time, in the unit that suits it. */
export function time(us: number | undefined): string {
  if (us === undefined) return "–";
  if (us < 100_000) return `${(us / 1000).toFixed(us < 10_000 ? 2 : 1)} ms`;
  if (us < 1_000_000) return `${Math.round(us / 1000)} ms`;
  return `${(us / 1_000_000).toFixed(us < 10_000_000 ? 2 : 1)} s`;
}
