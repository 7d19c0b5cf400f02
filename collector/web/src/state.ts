// What is shown, as it stands in the address, so that a link shows the same to whoever may see it. No secret is in it.

import { dayOf, daysBetween, isDay, type Range, PRESETS, preset, type Preset } from "./time.ts";

export const GROUPS = ["tenant", "model", "provider"] as const;
export type Group = (typeof GROUPS)[number];
export const STEPS = ["hour", "day", "month"] as const;
export type Step = (typeof STEPS)[number];
export const METRICS = ["charge", "tokens", "calls"] as const;
export type Metric = (typeof METRICS)[number];
export const COLUMNS = ["name", "charge", "cost", "input", "output", "cached", "calls", "reported"] as const;
export type Column = (typeof COLUMNS)[number];
export const SIZES = [10, 25, 100, 500] as const;

/** The longest range of which hours are shown, days. */
export const MAX_DAYS_OF_HOURS = 31;

export interface State {
  /** A preset, or two days. */
  range: Preset | Range;
  zone: string;
  step: Step;
  by: Group;
  metric: Metric;
  sort: Column;
  top: number;
  /** The path that one has drilled down to. */
  tenant: string;
  provider: string | undefined;
  model: string | undefined;
  /** What names begin with. */
  search: string;
  /** Whether latencies are shown, which are read from calls. */
  latency: boolean;
  live: boolean;
}

export const DEFAULT: State = {
  range: "month",
  zone: "UTC",
  step: "day",
  by: "tenant",
  metric: "charge",
  sort: "charge",
  top: 25,
  tenant: "",
  provider: undefined,
  model: undefined,
  search: "",
  latency: false,
  live: false,
};

const MAX_TEXT = 512;

/** Reads an address. What it does not know, or cannot be, is left as it is without an address. */
export function read(query: string): State {
  const given = new URLSearchParams(query);
  const text = (name: string): string | undefined => {
    const value = given.get(name);
    return value === null || value.length > MAX_TEXT ? undefined : value;
  };
  const word = <T extends string>(name: string, of: readonly T[], otherwise: T): T =>
    of.find((known) => known === given.get(name)) ?? otherwise;
  const [since, until] = [given.get("since"), given.get("until")];
  const days = since !== null && until !== null && isDay(since) && isDay(until) && since <= until;
  const zone = text("time_zone");
  return {
    range: days ? { since, until } : word("range", PRESETS, "month"),
    zone: zone !== undefined && isZone(zone) ? zone : DEFAULT.zone,
    step: word("step", STEPS, DEFAULT.step),
    by: word("by", GROUPS, DEFAULT.by),
    metric: word("metric", METRICS, DEFAULT.metric),
    sort: word("sort", COLUMNS, DEFAULT.sort),
    top: SIZES.find((size) => String(size) === given.get("top")) ?? DEFAULT.top,
    tenant: text("tenant") ?? "",
    provider: text("provider"),
    model: text("model"),
    search: text("search") ?? "",
    latency: given.get("latency") === "true",
    live: given.get("live") === "true",
  };
}

/** The address of a state, without what it is anyway. */
export function write(state: State): string {
  const out = new URLSearchParams();
  if (typeof state.range === "string") {
    if (state.range !== DEFAULT.range) out.set("range", state.range);
  } else {
    out.set("since", state.range.since);
    out.set("until", state.range.until);
  }
  if (state.zone !== DEFAULT.zone) out.set("time_zone", state.zone);
  for (const name of ["step", "by", "metric", "sort", "tenant", "search"] as const) {
    if (state[name] !== DEFAULT[name]) out.set(name, state[name]);
  }
  if (state.top !== DEFAULT.top) out.set("top", String(state.top));
  if (state.provider !== undefined) out.set("provider", state.provider);
  if (state.model !== undefined) out.set("model", state.model);
  if (state.latency) out.set("latency", "true");
  if (state.live) out.set("live", "true");
  const query = out.toString();
  return query ? `?${query}` : ".";
}

/** The days that are shown. */
export function days(state: State, now: Date): Range {
  return typeof state.range === "string" ? preset(state.range, dayOf(now, state.zone)) : state.range;
}

/** The step that is shown: hours only of a range that is not too long. */
export function step(state: State, range: Range): Step {
  return state.step === "hour" && daysBetween(range) > MAX_DAYS_OF_HOURS ? "day" : state.step;
}

/** Whether the collector reads calls for it, not sums: that takes as long as there are calls. */
export function readsCalls(state: State, range: Range): boolean {
  return state.latency || state.zone !== "UTC" || step(state, range) === "hour";
}

function isZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return /^[A-Za-z]/.test(name);
  } catch {
    return false;
  }
}
