// The page in a real browser, on a real collector: each number equals the one that the program prints.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Browser } from "playwright-core";
import { browse, Collector, READ, Visitor, type Call } from "./harness.ts";
import { by, owed, plain, report, shownOwed, sum, whole } from "./truth.ts";

const DAY = 86_400_000;
const now = new Date();
const ago = (days: number): Date => new Date(now.getTime() - days * DAY);
const day = (date: Date): string => date.toISOString().slice(0, 10);
const [SINCE, UNTIL] = [day(ago(20)), day(now)];
const RANGE = `since=${SINCE}&until=${UNTIL}`;
const PERIOD = ["--since", SINCE, "--until", UNTIL];

/** Names that would break a page that puts them together as markup. */
export const HOSTILE = [
  '<img src=x onerror="document.title=1">',
  "</script><script>throw 1</script>",
  "\u202eevil\u202c\u200b",
  `"quoted" 'and' &amp; %00`,
  "=HYPERLINK(1)*",
];

function calls(): Call[] {
  const all: Call[] = [];
  for (let index = 0; index < 120; index++) {
    const tenant = ["acme/ml", "acme/hr", "acme", "beta", "beta/west/one", "gamma"][index % 6] ?? "";
    const usage = {
      input_text_tokens: 1000 + 7 * index,
      cache_read_tokens: 100 * (index % 5),
      output_text_tokens: 31 + index,
    };
    all.push({ at: ago(index % 19), tenant, model: ["gpt-4.1", "gpt-4.1-mini", "gpt-4o"][index % 3] ?? "", usage });
  }
  // The period before has some, too.
  all.push({
    at: ago(30),
    tenant: "beta",
    model: "gpt-4.1",
    usage: { input_text_tokens: 5000, output_text_tokens: 10 },
  });
  all.push({
    at: ago(2),
    tenant: "acme",
    model: "gpt-4.1",
    usage: { input_text_tokens: 77, output_text_tokens: 3 },
    evidence: "estimated",
  });
  all.push({ at: ago(2), tenant: "beta", model: "gpt-4.1", evidence: "missing" });
  all.push({ at: ago(3), tenant: "beta", model: "no-such-model", usage: { input_text_tokens: 41 } });
  for (const name of HOSTILE)
    all.push({ at: ago(4), tenant: "evil", provider: name, model: name, usage: { input_text_tokens: 9 } });
  return all;
}

describe("the page", { timeout: 1_200_000 }, () => {
  let collector: Collector;
  let browser: Browser;
  before(async () => {
    collector = await Collector.start(`all ${READ}\n`);
    await collector.send(calls());
    // Two numbers of another emitter never come.
    await collector.send(
      [{ at: ago(1), tenant: "gamma", model: "gpt-4.1", usage: { input_text_tokens: 1 } }],
      "1f8fad5bd9cb469fa16570867728950e",
      3,
    );
    collector.command(
      "budgets",
      "set",
      "acme-month",
      "--limit",
      "5",
      "--unit",
      "usd",
      "--window",
      "month",
      "--tenant",
      "acme",
      "--why",
      "a test",
      "--who",
      "test",
    );
    browser = await browse();
  });
  after(async () => {
    await browser?.close();
    collector?.stop();
  });

  const visit = (query: string): Promise<Visitor> => Visitor.at(browser, collector, query);

  it("fidelity_every_figure_of_the_totals_is_the_ledgers", async () => {
    const visitor = await visit(`?${RANGE}`);
    const printed = report(collector, ...PERIOD, "--by", "tenant:1");
    const truth = sum(printed.totals);
    assert.equal(shownOwed(await visitor.text("#total-charge")), `${truth.charge} + unpriced`);
    assert.equal(shownOwed(await visitor.text("#total-cost")), `${truth.cost} + unpriced`);
    assert.equal(whole(await visitor.text("#total-input")), truth.input);
    assert.equal(whole(await visitor.text("#total-output")), truth.output);
    assert.equal(whole(await visitor.text("#total-calls")), truth.calls);
    for (const evidence of ["reported", "partial", "estimated", "missing"]) {
      const lines = printed.totals.filter((line) => line.evidence === evidence);
      assert.equal(whole(await visitor.text(`#calls-${evidence}`)), sum(lines).calls, evidence);
    }
    const unpriced = (printed.notes.unpriced ?? []).reduce((all, model) => all + model.calls, 0);
    assert.equal(whole(await visitor.text("#calls-unpriced")), unpriced);
    assert.ok(unpriced > 0 && truth.calls > 120);
    await visitor.leave();
  });

  it("fidelity_every_cell_of_the_tables_is_the_ledgers_by_tenant_model_and_provider", async () => {
    for (const [group, column] of [
      ["tenant", "tenant:1"],
      ["model", "model"],
      ["provider", "provider"],
    ] as const) {
      const visitor = await visit(`?${RANGE}&by=${group}&top=500`);
      const lines = by(report(collector, ...PERIOD, "--by", column).lines, column);
      const rows = await visitor.table("#groups");
      assert.equal(rows.length, lines.size, group);
      const found = rows.map(([, charge, cost, input, output, , calls]) =>
        [
          shownOwed(charge ?? ""),
          shownOwed(cost ?? ""),
          whole(input ?? ""),
          whole(output ?? ""),
          whole(calls ?? ""),
        ].join(" "),
      );
      const expected = [...lines.values()]
        .map((of) => ({ ...sum(of), charge: owed(of), cost: owed(of, "cost") }))
        .map((of) => [of.charge, of.cost, of.input, of.output, of.calls].join(" "));
      assert.ok(
        expected.some((row) => row.includes("unpriced")),
        group,
      );
      assert.deepEqual(found.sort(), expected.sort(), group);
      await visitor.leave();
    }
  });

  it("fidelity_the_table_of_the_bars_adds_up_to_the_ledger_by_day_and_month", async () => {
    for (const step of ["day", "month"]) {
      const visitor = await visit(`?${RANGE}&step=${step}`);
      await visitor.page.locator("#time summary").click();
      const lines = by(report(collector, ...PERIOD, "--by", step).lines, step);
      for (const [label, all, ...parts] of await visitor.table("#steps")) {
        const truth = sum(lines.get(label ?? "") ?? []);
        assert.equal(shownOwed(all ?? ""), owed(lines.get(label ?? "") ?? []), label);
        assert.equal(plus(parts), truth.charge, label);
        lines.delete(label ?? "");
      }
      assert.equal(lines.size, 0, "every step is shown");
      await visitor.leave();
    }
  });

  it("fidelity_days_and_hours_of_another_time_zone_are_those_of_the_program", async () => {
    const zone = "America/St_Johns";
    for (const step of ["day", "hour"]) {
      const visitor = await visit(`?${RANGE}&time_zone=${encodeURIComponent(zone)}&step=${step}`);
      await visitor.page.locator("#time summary").click();
      const printed = report(collector, ...PERIOD, "--time-zone", zone, "--by", step);
      assert.equal(shownOwed(await visitor.text("#total-charge")), owed(printed.totals));
      const shown = (await visitor.table("#steps")).map(([, all]) => shownOwed(all ?? "")).filter((all) => all !== "0");
      const lines = [...by(printed.lines, step).values()].map((of) => owed(of)).filter((charge) => charge !== "0");
      assert.deepEqual(shown, lines, step);
      assert.match(await visitor.text("#when"), /America\/St_Johns/);
      await visitor.leave();
    }
  });

  it("contract_one_drills_down_along_the_path_and_the_address_is_a_link_that_shows_the_same", async () => {
    const visitor = await visit(`?${RANGE}`);
    const { page } = visitor;
    await page.getByRole("link", { name: "acme", exact: true }).click();
    await visitor.shown();
    assert.match(page.url(), /tenant=acme/);
    const printed = report(collector, ...PERIOD, "--by", "tenant:2", "--tenant", "acme");
    assert.equal(shownOwed(await visitor.text("#total-charge")), owed(printed.totals));
    const names = (await visitor.table("#groups")).map(([name]) => name);
    assert.deepEqual(names.sort(), ["acme itself", "hr", "ml"]);
    const other = await context(visitor, page.url());
    assert.deepEqual(await other.table("#groups"), await visitor.table("#groups"));
    await page.goBack();
    await visitor.shown();
    assert.equal(await visitor.text("#where"), "All tenants");
    assert.ok(!page.url().includes(READ));
    await visitor.leave();
  });

  it("contract_hostile_names_are_text_and_every_character_of_them_is_visible", async () => {
    const visitor = await visit(`?${RANGE}&by=model&top=500`);
    const cells = (await visitor.table("#groups")).map(([name]) => name ?? "").join("\n");
    for (const name of [
      ...HOSTILE.slice(0, 2),
      "\u27e8U+202E\u27e9evil\u27e8U+202C\u27e9\u27e8U+200B\u27e9",
      ...HOSTILE.slice(3),
    ]) {
      assert.ok(cells.includes(name), name);
    }
    assert.equal(await visitor.page.locator("main img, main script").count(), 0);
    for (const name of HOSTILE) {
      await visitor.go(collector, `?${RANGE}&${new URLSearchParams({ model: name, tenant: name, search: name })}`);
      await visitor.shown();
      assert.match(await visitor.page.title(), /meshmeter/);
    }
    await visitor.leave();
  });

  it("contract_budgets_and_gaps_are_those_that_the_program_prints", async () => {
    const visitor = await visit(`?${RANGE}`);
    const [budget] = JSON.parse(collector.command("budgets", "--format", "json")) as {
      name: string;
      limit: string;
      spent: string;
      left: string;
    }[];
    const [row] = await visitor.table("#budget-lines");
    assert.ok(budget && row);
    assert.equal(row[0], budget.name);
    assert.equal(plain(row[4] ?? ""), plain(budget.limit));
    assert.ok(plain(row[5] ?? "").startsWith(plain(budget.spent)), row[5]);
    assert.equal(plain(row[7] ?? ""), plain(budget.left));
    assert.equal(await visitor.text("#gaps-missing"), "2");
    await visitor.leave();
  });

  it("fidelity_latencies_are_those_that_the_program_prints_and_asked_for_by_a_button", async () => {
    interface Line {
      [name: string]: unknown;
      calls: number;
    }
    const visitor = await visit(`?${RANGE}&by=model`);
    const { page } = visitor;
    assert.equal(await page.locator("#latency-lines").count(), 0);
    await page.getByRole("button", { name: "Show latencies" }).click();
    await page.locator("#latency-lines").waitFor();
    assert.match(page.url(), /latency=true/);
    const printed = JSON.parse(
      collector.command("latency", "--format", "json", ...PERIOD, "--by", "provider,model"),
    ) as { lines: Line[]; total: Line };
    const figures = (line: Line): number[] =>
      ["time_to_first_token_us", "duration_us", "time_per_output_token_us"].flatMap((measure) => {
        const of = line[measure] as Record<string, number> | undefined;
        return ["p50", "p90", "p99"].map((name) => of?.[name] ?? NaN);
      });
    const microseconds = (shown: string): number => {
      const [value, unit] = shown.split(" ");
      return Number(value) * ({ ms: 1000, s: 1_000_000 }[unit ?? ""] ?? NaN);
    };
    const rows = await visitor.table("#latency-lines");
    rows.push(await page.locator("#latency-lines tfoot tr > *").allTextContents());
    const truth = [...printed.lines].sort((one, other) => other.calls - one.calls);
    truth.push(printed.total);
    assert.equal(rows.length, truth.length);
    for (const [index, line] of truth.entries()) {
      const [, calls, ...cells] = rows[index] ?? [];
      assert.equal(whole(calls ?? ""), line.calls);
      for (const [at, exact] of figures(line).entries()) {
        const found = microseconds(cells[at] ?? "");
        const same = Number.isNaN(exact) ? Number.isNaN(found) : Math.abs(found - exact) <= exact / 100;
        assert.ok(same, `${cells[at]} is not ${exact}`);
      }
    }
    assert.ok(printed.total.calls > 120);
    await page.getByRole("button", { name: "Hide" }).click();
    await visitor.shown();
    assert.equal(await page.locator("#latency-lines").count(), 0);
    await visitor.leave();
  });

  it("contract_the_table_is_sorted_by_any_column_and_says_so", async () => {
    const visitor = await visit(`?${RANGE}&by=model&top=500`);
    const { page } = visitor;
    for (const [id, column] of [
      ["calls", 6],
      ["input", 3],
    ] as const) {
      await page.locator(`#sort-${id}`).click();
      await page.locator(`th[aria-sort=descending] #sort-${id}`).waitFor();
      const values = (await visitor.table("#groups")).map((row) => whole(row[column] ?? ""));
      assert.deepEqual(
        values,
        [...values].sort((one, other) => other - one),
      );
    }
    await page.locator("#sort-name").click();
    await page.locator("th[aria-sort=ascending] #sort-name").waitFor();
    await visitor.leave();
  });

  it("contract_top_leaves_nothing_out_and_the_csv_has_all_of_it", async () => {
    const visitor = await visit(`?${RANGE}&by=model`);
    const truth = sum(report(collector, ...PERIOD, "--by", "model").totals);
    await visitor.page.locator("#top").selectOption("10");
    await visitor.shown();
    const charges = (await visitor.table("#groups")).map((row) => row[1] ?? "");
    assert.equal(plus(charges), truth.charge);
    const [download] = await Promise.all([
      visitor.page.waitForEvent("download"),
      visitor.page.getByRole("link", { name: "Download as CSV" }).click(),
    ]);
    const { readFileSync } = await import("node:fs");
    const text = readFileSync(await download.path(), "utf8");
    const expected = collector.command("report", "--format", "csv", ...PERIOD, "--by", "day,model");
    assert.equal(text.replaceAll("\r\n", "\n"), expected.replaceAll("\r\n", "\n"));
    await visitor.leave();
  });
});

function plus(cells: string[]): string {
  const known = cells.map((cell) => shownOwed(cell).split(" + ")[0] ?? "").filter((cell) => /[0-9]/.test(cell));
  return sum(known.map((charge) => ({ evidence: "", calls: 0, charge }))).charge;
}

/** Another page of the same browser, so logged in. */
async function context(visitor: Visitor, url: string): Promise<Visitor> {
  const page = await visitor.context.newPage();
  await page.goto(url);
  const other = Object.assign(Object.create(Visitor.prototype) as Visitor, visitor, { page });
  await other.shown();
  return other;
}
