// The tables: one of groups, which can be sorted and gone down in, and one of what the bars show.

import { share } from "./decimal.ts";
import { h } from "./dom.ts";
import { EVIDENCE, type Grouped, type Sum } from "./lines.ts";
import { count, foreign, usd } from "./names.ts";
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
  const rows = sorted(groups, state.sort).map((group) => {
    const { sum } = group;
    const cached = share(BigInt(sum.cached), BigInt(sum.input));
    const reported = share(BigInt(sum.evidence.reported), BigInt(sum.calls));
    const cells = [
      usd(sum.charge),
      usd(sum.cost),
      count(sum.input),
      count(sum.output),
      cached === undefined ? "–" : `${cached} %`,
      count(sum.calls),
      reported === undefined ? "–" : `${reported} %`,
    ];
    const about = EVIDENCE.map((evidence) => `${evidence} ${count(sum.evidence[evidence])}`).join(", ");
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, named(state, group, going)),
      ...cells.map((cell, index) => h("td", index === cells.length - 1 ? { title: about } : {}, cell)),
    );
  });
  const caption = h("caption", {}, `By ${state.by}`, h("span", { class: "quiet" }, ", USD and tokens"));
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": `Table by ${state.by}` },
    h("table", { id: "groups" }, caption, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows)),
  );
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
  show: (of: bigint) => Node | string,
  whole: (sum: Sum) => bigint,
): HTMLElement {
  const head = [
    h("th", { scope: "col" }, step),
    h("th", { scope: "col" }, "all"),
    ...names.map((name) => h("th", { scope: "col" }, name)),
  ];
  const rows = stack.ticks.map((tick, index) => {
    const sum = stack.totals[index];
    const cells = stack.series.map((series) => h("td", {}, show(series.values[index] ?? 0n)));
    return h("tr", {}, h("th", { scope: "row" }, tick.label), h("td", {}, sum ? show(whole(sum)) : "–"), ...cells);
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
