// The questions that a state asks of the collector: one for the table, one for the bars of the largest, one for whole steps.

import { address, type Parameters, type Report } from "./api.ts";
import { grouped, lacks, nothing, value, without, type Grouped, type Sum } from "./lines.ts";
import { step, type Column, type State } from "./state.ts";
import { place, ticks, type Range, type Tick } from "./time.ts";

/** Groups that have a colour of their own. */
export const COLOURS = 7;
/** The longest value of a filter, bytes. */
const MAX_VALUE = 512;

const SORTS: Record<Column, string> = {
  name: "charge",
  charge: "charge",
  cost: "cost",
  input: "tokens",
  output: "tokens",
  cached: "tokens",
  calls: "calls",
  reported: "calls",
};

/** The columns that tell the groups apart. */
export function columns(state: State): string[] {
  switch (state.by) {
    case "tenant":
      return [`tenant:${depth(state) + 1}`];
    case "model":
      return ["provider", "model"];
    case "provider":
      return ["provider"];
  }
}

export function depth(state: State): number {
  return state.tenant === "" ? 0 : state.tenant.split("/").length;
}

function when(state: State, range: Range): Parameters {
  return [
    ["since", range.since],
    ["until", range.until],
    ["time_zone", state.zone],
  ];
}

/** The filters, without those of some columns. */
function filters(state: State, without: readonly string[] = []): Parameters {
  const all: Parameters = [];
  const searched = state.search !== "" && !without.includes(state.by);
  if (!without.includes("tenant")) {
    const below = state.tenant === "" ? "" : `${state.tenant}/`;
    if (searched && state.by === "tenant") all.push(["tenant", `${below}${state.search}*`]);
    else if (state.tenant !== "") all.push(["tenant", state.tenant]);
  }
  for (const name of ["provider", "model"] as const) {
    const chosen = state[name];
    if (without.includes(name)) continue;
    if (chosen !== undefined) all.push([name, chosen]);
    else if (searched && state.by === name) all.push([name, `${state.search}*`]);
  }
  return all;
}

/** The largest groups, and the others as one line; beside each what it was before. */
export function table(state: State, range: Range): Parameters {
  return [
    ...when(state, range),
    ["by", columns(state).join(",")],
    ["top", String(state.top)],
    ["sort", SORTS[state.sort]],
    ["compare", "true"],
    ...filters(state),
  ];
}

/** Whole steps. */
export function steps(state: State, range: Range): Parameters {
  return [...when(state, range), ["by", step(state, range)], ...filters(state)];
}

/** The same of chosen groups. */
export function stepsOf(state: State, range: Range, groups: readonly Grouped[]): Parameters {
  const names = groups.map((group) => group.key?.at(-1) ?? "");
  const values = [...new Set(names)].map((name): [string, string] => [state.by, name]);
  return [
    ...when(state, range),
    ["by", [step(state, range), ...columns(state)].join(",")],
    ...filters(state, [state.by]),
    ...values,
  ];
}

/** What is shown, as it is to be kept: all lines of the table, as CSV. */
export function csv(state: State, range: Range): string {
  const by: [string, string] = ["by", [step(state, range), ...columns(state)].join(",")];
  return address("v1/report", [...when(state, range), by, ...filters(state), ["format", "csv"]]);
}

/** How long calls took. */
export function latency(state: State, range: Range): Parameters {
  return [...when(state, range), ["by", columns(state).join(",")], ...filters(state)];
}

/** What a quarter of an hour brought. */
export function newest(state: State, now: Date): Parameters {
  const since = new Date(Math.floor(now.getTime() / 60_000) * 60_000 - 15 * 60_000);
  return [
    ["since", since.toISOString()],
    ["until", new Date(now.getTime() + 60_000).toISOString()],
    ["by", "provider"],
    ...filters(state),
  ];
}

/** The groups that have bars of their own: not the tenant itself that one has drilled down to, for what is below it begins so, too. */
export function chosen(state: State, groups: readonly Grouped[], metric: (sum: Sum) => bigint): Grouped[] {
  const fits = ({ key, sum }: Grouped): boolean => {
    const name = key?.at(-1);
    if (name === undefined || metric(sum) <= 0n) return false;
    if (state.by === "tenant" && (name === "" || name === state.tenant)) return false;
    return new TextEncoder().encode(name).length <= MAX_VALUE;
  };
  const most = (one: Grouped, other: Grouped): number =>
    Number(metric(other.sum) > metric(one.sum)) - Number(metric(other.sum) < metric(one.sum));
  return groups.filter(fits).sort(most).slice(0, COLOURS);
}

export interface Series {
  /** `undefined`: all that has no colour of its own. */
  key: string[] | undefined;
  /** By step. */
  values: Sum[];
}

export interface Stack {
  ticks: Tick[];
  series: Series[];
  totals: Sum[];
}

/** The bars: each chosen group by step, and what is left of the whole steps. */
export function stack(
  state: State,
  range: Range,
  whole: Report,
  parts: Report | undefined,
  groups: readonly Grouped[],
  metric: (sum: Sum) => bigint,
): Stack {
  const of = step(state, range);
  const keys = whole.lines.map((line) => value(line, of));
  const all = ticks(of, range, state.zone, keys);
  const places = new Map(all.map((tick, index) => [tick.at, index]));
  const totals = all.map(nothing);
  for (const { key, sum } of grouped(whole, [of])) {
    const index = places.get(place(key?.[0] ?? ""));
    if (index !== undefined) totals[index] = sum;
  }
  const rest = [...totals];
  const byKey = new Map(groups.map((group) => [JSON.stringify(group.key), all.map(nothing)]));
  for (const { key, sum } of parts ? grouped(parts, [of, ...columns(state)]) : []) {
    const values = byKey.get(JSON.stringify(key?.slice(1)));
    const index = places.get(place(key?.[0] ?? ""));
    if (!values || index === undefined) continue;
    values[index] = sum;
    rest[index] = without(rest[index] ?? nothing(), sum);
  }
  const series: Series[] = groups.map((group) => ({
    key: group.key,
    values: byKey.get(JSON.stringify(group.key)) ?? [],
  }));
  const shows = (sum: Sum): boolean => metric(sum) !== 0n || (state.metric === "charge" && lacks(sum));
  if (rest.some(shows)) series.push({ key: undefined, values: rest });
  return { ticks: all, series, totals };
}
