// The tables: one of groups, which can be sorted and gone down in, and one of what the bars show.

import { ADJUSTS, owed } from "./amounts.ts";
import { share } from "./decimal.ts";
import { h } from "./dom.ts";
import { adjusted, EVIDENCE, nothing, type Grouped, type Sum } from "./lines.ts";
import { count, foreign } from "./names.ts";
import { link, type Go } from "./path.ts";
import type { Stack } from "./questions.ts";
import type { Column, State } from "./state.ts";

const TITLES: Record<Column, string> = {
  name: "",
  charge: "Charge",
  cost: "Cost",
  input: "Input",
  output: "Output",
  cached: "Cached input",
  calls: "Calls",
  reported: "Reported",
};

/** What lines are ordered by. */
const RANKS: Record<Exclude<Column, "name">, (sum: Sum) => bigint> = {
  charge: (sum) => sum.charge,
  cost: (sum) => sum.cost,
  input: (sum) => BigInt(sum.input),
  output: (sum) => BigInt(sum.output),
  cached: (sum) => ratio(sum.cached, sum.input),
  calls: (sum) => BigInt(sum.calls),
  reported: (sum) => ratio(sum.evidence.reported, sum.calls),
};

function ratio(part: number, whole: number): bigint {
  return whole > 0 ? (BigInt(part) * 1_000_000n) / BigInt(whole) : -1n;
}

/** Groups in the order of a column: names upwards, figures downwards. The others are the last. */
export function sorted(groups: readonly Grouped[], by: Column): Grouped[] {
  const named = groups.filter((group) => group.key);
  const name = (group: Grouped): string => group.key?.join("\u0000") ?? "";
  const byName = (one: Grouped, other: Grouped): number =>
    name(one) < name(other) ? -1 : Number(name(one) > name(other));
  if (by === "name") named.sort(byName);
  else {
    const rank = RANKS[by];
    named.sort((one, other) => {
      const [of, than] = [rank(one.sum), rank(other.sum)];
      return of === than ? byName(one, other) : of > than ? -1 : 1;
    });
  }
  return [...named, ...groups.filter((group) => !group.key)];
}

export interface Going {
  /** Where a group leads, if it leads anywhere. */
  to(group: Grouped): Partial<State> | undefined;
  go: Go;
}

export function groupTable(state: State, groups: readonly Grouped[], going: Going): HTMLElement {
  const columns = Object.keys(TITLES) as Column[];
  const head = columns.map((column) => {
    const title = column === "name" ? state.by : TITLES[column];
    const order = column === state.sort ? (column === "name" ? "ascending" : "descending") : undefined;
    const button = h(
      "button",
      { type: "button", id: `sort-${column}`, click: () => going.go({ sort: column }) },
      title,
      order && h("span", { "aria-hidden": "true" }, order === "ascending" ? " ↑" : " ↓"),
    );
    return h("th", { scope: "col", "aria-sort": order }, button);
  });
  const row = (name: Node | string, sum: Sum): HTMLElement[] => {
    const cached = share(BigInt(sum.cached), BigInt(sum.input));
    const reported = share(BigInt(sum.evidence.reported), BigInt(sum.calls));
    const cells = [
      owed(sum, sum.charge),
      owed(sum, sum.cost),
      count(sum.input),
      count(sum.output),
      cached === undefined ? "–" : `${cached} %`,
      count(sum.calls),
      reported === undefined ? "–" : `${reported} %`,
    ];
    const about = EVIDENCE.map((evidence) => `${evidence} ${count(sum.evidence[evidence])}`).join(", ");
    const line = h(
      "tr",
      {},
      h("th", { scope: "row" }, name),
      ...cells.map((cell, index) => h("td", index === cells.length - 1 ? { title: about } : {}, cell)),
    );
    return [line, ...adjusted(sum).flatMap(([month, of]) => adjusting(row(adjusts(month), of)))];
  };
  const rows = sorted(groups, state.sort).flatMap((group) => row(named(state, group, going), group.sum));
  const caption = h("caption", {}, `By ${state.by}`, h("span", { class: "quiet" }, ", USD and tokens"));
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": `Table by ${state.by}` },
    h("table", { id: "groups" }, caption, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows)),
  );
}

/** The name of a row that says what of the row above adjusts a closed month. */
function adjusts(month: string): HTMLElement {
  return h("span", { title: ADJUSTS }, `of it adjusts ${month}`);
}

function adjusting(rows: HTMLElement[]): HTMLElement[] {
  for (const row of rows) row.className = "adjusts";
  return rows;
}

function named(state: State, group: Grouped, going: Going): Node | string {
  if (!group.key) return `${count(group.others)} others`;
  const name = label(state, group.key);
  const change = going.to(group);
  if (!change) return name;
  return link(state, change, going.go, name);
}

/** The name of a group, as far as it is not that of where one is. */
export function label(state: State, key: readonly string[]): HTMLElement {
  const name = key.at(-1) ?? "";
  if (state.by === "tenant") {
    if (name === state.tenant && name !== "") return h("span", {}, foreign(name), " itself");
    const prefix = `${state.tenant}/`;
    return foreign(state.tenant !== "" && name.startsWith(prefix) ? name.slice(prefix.length) : name);
  }
  return key.length > 1
    ? h("span", {}, foreign(name), " ", h("span", { class: "quiet" }, foreign(key[0] ?? "")))
    : foreign(name);
}

/** The same numbers as the bars. */
export function stepTable(
  stack: Stack,
  names: Node[],
  step: string,
  metric: string,
  show: (of: Sum) => Node | string,
): HTMLElement {
  const head = [
    h("th", { scope: "col" }, step),
    h("th", { scope: "col" }, "all"),
    ...names.map((name) => h("th", { scope: "col" }, name)),
  ];
  const row = (name: Node | string, sums: Sum[]): HTMLElement =>
    h("tr", {}, h("th", { scope: "row" }, name), ...sums.map((sum) => h("td", {}, show(sum))));
  const rows = stack.ticks.flatMap((tick, index) => {
    const total = stack.totals[index] ?? nothing();
    const sums = [total, ...stack.series.map((series) => series.values[index] ?? nothing())];
    const parts = adjusted(total).map(([month]) =>
      row(
        adjusts(month),
        sums.map((sum) => sum.adjusts.get(month) ?? nothing()),
      ),
    );
    return [row(tick.label, sums), ...adjusting(parts)];
  });
  return h(
    "div",
    { class: "scroll tall", tabindex: 0, role: "region", "aria-label": `Table by ${step}` },
    h(
      "table",
      { id: "steps" },
      h("caption", {}, `${metric} by ${step}`),
      h("thead", {}, h("tr", {}, ...head)),
      h("tbody", {}, ...rows),
    ),
  );
}
