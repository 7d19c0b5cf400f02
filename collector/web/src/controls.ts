// What can be chosen: when, in which zone, by what.

import { h } from "./dom.ts";
import { GROUPS, MAX_DAYS_OF_HOURS, METRICS, SIZES, STEPS, type Metric, type State } from "./state.ts";
import { daysBetween, isDay, PRESETS, PRESET_NAMES, type Range } from "./time.ts";

export const METRIC_NAMES: Record<Metric, string> = { charge: "charge", tokens: "tokens", calls: "calls" };

/** Tells of a change of the state. */
export type Change = (change: Partial<State>) => void;

export function controls(state: State, range: Range, change: Change): HTMLElement {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const zones = [...new Set(["UTC", own, state.zone, ...Intl.supportedValuesOf("timeZone")])];
  const isPreset = typeof state.range === "string";
  const ranges = [
    ...PRESETS.map((name): [string, string] => [name, PRESET_NAMES[name]]),
    ["days", "custom"] satisfies [string, string],
  ];
  const hours = daysBetween(range) <= MAX_DAYS_OF_HOURS;
  const live = h("input", {
    type: "checkbox",
    id: "live",
    checked: state.live,
    change: (event) => change({ live: (event.target as HTMLInputElement).checked }),
  });
  return h(
    "form",
    { class: "controls", "aria-label": "View", submit: (event) => event.preventDefault() },
    select("range", "Range", ranges, isPreset ? (state.range as string) : "days", (value) => {
      const name = PRESETS.find((known) => known === value);
      change({ range: name ?? range });
    }),
    !isPreset &&
      day("since", "From", range.since, (since) =>
        change({ range: { since, until: since > range.until ? since : range.until } }),
      ),
    !isPreset &&
      day("until", "To", range.until, (until) =>
        change({ range: { since: until < range.since ? until : range.since, until } }),
      ),
    select(
      "zone",
      "Time zone",
      zones.map((zone) => [zone, zone]),
      state.zone,
      (zone) => change({ zone }),
    ),
    select(
      "step",
      "Interval",
      STEPS.filter((step) => step !== "hour" || hours).map((step) => [step, step]),
      state.step,
      (value) => {
        change({ step: STEPS.find((step) => step === value) ?? "day" });
      },
    ),
    select(
      "metric",
      "Metric",
      METRICS.map((metric) => [metric, METRIC_NAMES[metric]]),
      state.metric,
      (value) => {
        change({ metric: METRICS.find((metric) => metric === value) ?? "charge" });
      },
    ),
    h("label", { class: "check", for: "live" }, live, "Live"),
  );
}

/** What the groups are, how many, and what their names begin with: beside the table. */
export function grouping(state: State, change: Change): HTMLElement {
  const search = h("input", {
    id: "search",
    type: "search",
    value: state.search,
    maxlength: 200,
    autocomplete: "off",
    spellcheck: "false",
  });
  const seek = (event: Event): void => {
    event.preventDefault();
    change({ search: search.value.trim() });
  };
  return h(
    "form",
    { class: "controls", role: "search", "aria-label": "Breakdown", submit: seek },
    select(
      "by",
      "Group by",
      GROUPS.map((group) => [group, group]),
      state.by,
      (value) => {
        change({ by: GROUPS.find((group) => group === value) ?? "tenant", search: "" });
      },
    ),
    select(
      "top",
      "Rows",
      SIZES.map((size) => [String(size), String(size)]),
      String(state.top),
      (value) => {
        change({ top: Number(value) });
      },
    ),
    h("span", { class: "field" }, h("label", { for: "search" }, `${state.by} starts with`), search),
    h("button", { type: "submit" }, "Find"),
  );
}

function select(
  id: string,
  label: string,
  options: [string, string][],
  chosen: string,
  change: (value: string) => void,
): HTMLElement {
  const list = options.map(([value, name]) => h("option", { value, selected: value === chosen }, name));
  const field = h("select", { id, change: (event) => change((event.target as HTMLSelectElement).value) }, ...list);
  return h("span", { class: "field" }, h("label", { for: id }, label), field);
}

function day(id: string, label: string, value: string, change: (day: string) => void): HTMLElement {
  const chosen = (event: Event): void => {
    const { value } = event.target as HTMLInputElement;
    if (isDay(value)) change(value);
  };
  return h(
    "span",
    { class: "field" },
    h("label", { for: id }, label),
    h("input", { id, type: "date", value, required: true, change: chosen }),
  );
}
