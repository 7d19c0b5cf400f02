// What the page reckons by itself.

import assert from "node:assert/strict";
import { it } from "node:test";
import type { Line, Report } from "../../src/api.ts";
import { amount, exact, percent, share } from "../../src/decimal.ts";
import { owedText } from "../../src/amounts.ts";
import { grouped, lacks, total } from "../../src/lines.ts";
import { chosen, csv, stack, stepsOf, table } from "../../src/questions.ts";
import { days, DEFAULT, read, write, type State } from "../../src/state.ts";
import { dayOf, daysBetween, isDay, place, preset, ticks } from "../../src/time.ts";

it("deterministic_amounts_are_exact_in_both_directions", () => {
  for (const text of [
    "0",
    "1",
    "-1.5",
    "4.183125",
    "0.000000000000000000000001",
    "123456789012345678901234.5",
    "-0.01",
  ]) {
    assert.equal(exact(amount(text)), text);
  }
  assert.equal(exact(amount("0.1") + amount("0.2")), "0.3");
  assert.equal(exact(amount("1.500")), "1.5");
  for (const bad of ["", "1e3", "1.", ".5", "NaN", "0x1", "1,0", " 1", "0.0000000000000000000000001"])
    assert.throws(() => amount(bad), bad);
});

it("deterministic_percentages_are_cut_off_and_nothing_has_none", () => {
  assert.equal(percent(15n, 10n), "50.0");
  assert.equal(percent(0n, 3n), "-100.0");
  assert.equal(percent(1n, 0n), undefined);
  assert.equal(share(2n, 3n), "66.6");
  assert.equal(share(0n, 0n), undefined);
});

it("contract_an_address_says_all_of_a_state_and_what_it_cannot_say_is_left_out", () => {
  const states: State[] = [
    DEFAULT,
    {
      ...DEFAULT,
      range: { since: "2026-01-01", until: "2026-02-28" },
      zone: "Europe/Berlin",
      step: "hour",
      by: "model",
      live: true,
    },
    {
      ...DEFAULT,
      tenant: "a/b",
      provider: "x&y=z",
      model: "",
      search: "é\u202e",
      top: 100,
      sort: "name",
      metric: "calls",
    },
  ];
  for (const state of states) assert.deepEqual(read(write(state)), state);
  assert.equal(write(DEFAULT), ".");
  const bad = [
    "range=ever",
    "since=2026-02-30&until=2026-03-01",
    "since=2026-03-02&until=2026-03-01",
    "since=2026-03-01",
    "by=colour",
    "top=7",
  ];
  for (const query of [...bad, "time_zone=Mars/Base", "time_zone=%2B01:00", `tenant=${"x".repeat(600)}`]) {
    assert.deepEqual(read(`?${query}`), DEFAULT, query);
  }
});

it("deterministic_ranges_are_of_days_of_the_zone", () => {
  const late = new Date("2026-03-01T00:30:00Z");
  assert.equal(dayOf(late, "America/New_York"), "2026-02-28");
  assert.deepEqual(days({ ...DEFAULT, zone: "America/New_York" }, late), { since: "2026-02-01", until: "2026-02-28" });
  assert.deepEqual(preset("last-month", "2026-01-15"), { since: "2025-12-01", until: "2025-12-31" });
  assert.deepEqual(preset("week", "2026-03-02"), { since: "2026-02-24", until: "2026-03-02" });
  assert.equal(daysBetween({ since: "2026-02-28", until: "2026-03-01" }), 2);
  assert.ok(isDay("2024-02-29") && !isDay("2026-02-29") && !isDay("2026-1-1"));
});

it("deterministic_no_step_is_left_out_and_hours_pass_a_change_of_clocks", () => {
  const label = (of: { label: string }): string => of.label;
  assert.deepEqual(ticks("day", { since: "2026-02-27", until: "2026-03-01" }, "UTC", []).map(label), [
    "2026-02-27",
    "2026-02-28",
    "2026-03-01",
  ]);
  assert.deepEqual(ticks("month", { since: "2025-11-30", until: "2026-02-01" }, "UTC", []).map(label), [
    "2025-11",
    "2025-12",
    "2026-01",
    "2026-02",
  ]);
  const keys = ["2026-10-25T01:00+02:00", "2026-10-25T04:00+01:00"];
  const hours = ticks("hour", { since: "2026-10-25", until: "2026-10-25" }, "Europe/Berlin", keys);
  assert.equal(hours.length, 5, "the third hour of that night comes twice");
  assert.equal(hours[0]?.at, place(keys[0] ?? ""));
});

const line = (more: Partial<Line>): Line => ({ evidence: "reported", calls: 1, ...more });
const report = (lines: Line[]): Report => ({ time_zone: "UTC", by: [], lines, totals: [], notes: {} });

it("contract_lines_of_one_group_are_added_up_and_what_is_in_no_total_is_left_out", () => {
  const usage = {
    input_text_tokens: 3,
    cache_read_tokens: 4,
    output_text_tokens: 5,
    cache_read_unbilled_tokens: 99,
    web_searches: 7,
  };
  const lines = [
    line({ model: "m", charge: "0.1", usage }),
    line({ model: "m", charge: "0.2", evidence: "estimated", unpriced: { pages: 1 } }),
    line({ others: 8, charge: "1" }),
  ];
  const [group, others] = grouped({ lines }, ["model"]);
  assert.deepEqual(
    [group?.key, exact(group?.sum.charge ?? 0n), group?.sum.input, group?.sum.cached, group?.sum.output],
    [["m"], "0.3", 7, 4, 5],
  );
  assert.deepEqual([group?.sum.evidence.estimated, group && lacks(group.sum)], [1, true]);
  assert.deepEqual([others?.key, others?.others], [undefined, 8]);
  assert.equal(exact(total({ lines }).charge), "1.3");
});

it("contract_what_has_no_price_is_never_an_amount_of_nothing", () => {
  const text = (since: string | undefined, ...lines: Line[]): string => {
    const sum = total({ ...(since !== undefined && { since }), lines });
    return owedText(sum, sum.charge);
  };
  const lacking = line({ unpriced: { input_text_tokens: 40 } });
  assert.equal(text(undefined), "$0.00");
  assert.equal(text(undefined, line({ charge: "0" })), "$0.00");
  assert.equal(text(undefined, lacking), "unpriced");
  assert.equal(text(undefined, lacking, line({ charge: "0.5" })), "$0.50 + unpriced");
  assert.equal(text(undefined, line({ evidence: "missing" })), "–");
  // The price came when the month was closed: what it takes back is of October alone.
  const later = line({ calls: 0, adjusts: "2026-10", charge: "0.1", unpriced: { input_text_tokens: -40 } });
  assert.equal(text("2026-10-01", lacking, later), "$0.10");
  assert.equal(text("2026-11-01", lacking, later), "$0.10 + unpriced");
  assert.equal(text("2026-11-01", later), "$0.10");
});

it("contract_what_adjusts_a_closed_month_is_told_apart_and_in_the_sum", () => {
  const lines = [
    line({ charge: "3" }),
    line({ charge: "-1", adjusts: "2026-09" }),
    line({ charge: "0.5", adjusts: "2026-09" }),
  ];
  const sum = total({ since: "2026-11-01", lines });
  const parts = [...sum.adjusts].map(([month, of]) => [month, exact(of.charge), of.calls]);
  assert.deepEqual([exact(sum.charge), sum.calls, parts], ["2.5", 3, [["2026-09", "-0.5", 2]]]);
});

it("contract_bars_of_what_has_no_price_say_so", () => {
  const range = { since: "2026-11-01", until: "2026-11-02" };
  const state: State = { ...DEFAULT, range };
  const unpriced = { input_text_tokens: 5 };
  const whole = report([
    line({ day: "2026-11-01", charge: "1", unpriced, calls: 2 }),
    line({ day: "2026-11-02", unpriced }),
  ]);
  const parts = report([line({ day: "2026-11-01", "tenant:1": "a", charge: "1" })]);
  const groups = grouped({ lines: [line({ "tenant:1": "a", charge: "1" })] }, ["tenant:1"]);
  const bars = stack(state, range, whole, parts, groups, (sum) => sum.charge);
  const shown = bars.series.map((series) => series.values.map((of) => owedText(of, of.charge)));
  assert.deepEqual(shown, [
    ["$1.00", "$0.00"],
    ["unpriced", "unpriced"],
  ]);
  assert.deepEqual(
    bars.totals.map((of) => owedText(of, of.charge)),
    ["$1.00 + unpriced", "unpriced"],
  );
});

it("contract_bars_add_up_to_the_whole_whatever_lines_come_for_the_groups", () => {
  const range = { since: "2026-11-01", until: "2026-11-02" };
  const state: State = { ...DEFAULT, tenant: "acme", range };
  const of = (tenant: string, charge: string, day?: string): Line =>
    line({ "tenant:2": tenant, charge, ...(day !== undefined && { day }) });
  const groups = grouped({ lines: [of("acme", "9"), of("acme/a", "5"), of("acme/b", "0")] }, ["tenant:2"]);
  const own = chosen(state, groups, (sum) => sum.charge);
  assert.deepEqual(
    own.map((group) => group.key),
    [["acme/a"]],
    "not the tenant itself, and nothing that is nothing",
  );
  const whole = report([line({ day: "2026-11-01", charge: "10" }), line({ day: "2026-11-02", charge: "4" })]);
  const parts = report([of("acme/a", "5", "2026-11-01"), of("acme/ab", "1", "2026-11-01")]);
  const bars = stack(state, range, whole, parts, own, (sum) => sum.charge);
  const shown = bars.series.map((series) => [series.key?.[0], series.values.map((of) => exact(of.charge))]);
  assert.deepEqual(shown, [
    ["acme/a", ["5", "0"]],
    [undefined, ["5", "4"]],
  ]);
});

it("contract_questions_filter_by_where_one_is", () => {
  const range = { since: "2026-11-01", until: "2026-11-02" };
  const ask = (state: Partial<State>): string =>
    decodeURIComponent(new URLSearchParams(table({ ...DEFAULT, ...state }, range)).toString());
  assert.match(ask({ tenant: "a/b" }), /by=tenant:3&.*tenant=a\/b$/);
  assert.match(ask({ tenant: "a", search: "x" }), /tenant=a\/x\*$/);
  assert.match(
    ask({ by: "model", search: "gpt", provider: "openai" }),
    /by=provider,model&.*provider=openai&model=gpt\*$/,
  );
  const named = new URLSearchParams(
    stepsOf({ ...DEFAULT, by: "model", provider: "p" }, range, [
      { key: ["p", "m*"], others: 0, sum: total({ lines: [] }) },
    ]),
  );
  assert.deepEqual(
    [named.getAll("model"), named.get("provider"), named.get("by")],
    [["m*"], "p", "day,provider,model"],
  );
  assert.match(csv({ ...DEFAULT, tenant: "a" }, range), /^v1\/report\?.*tenant=a&format=csv$/);
});
