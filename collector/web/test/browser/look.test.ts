// How the page is used: by keyboard alone, with a screen reader, on a phone, in the dark, while calls come.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Browser, BrowserContextOptions } from "playwright-core";
import { axe, browse, Collector, READ, Visitor, type Call } from "./harness.ts";

const NARROW = { width: 360, height: 740 };
const LONG = `${"a-very-long-segment-of-a-tenants-name".repeat(3)}`;

function calls(): Call[] {
  const tenants = ["acme/ml", "acme/hr", "beta", "gamma", LONG];
  return Array.from({ length: 60 }, (_, index) => ({
    at: new Date(Date.now() - 3_600_000 - (index % 6) * 86_400_000),
    tenant: tenants[index % 5] ?? "",
    model: index % 7 === 0 ? "no-such-model-with-a-name-that-is-longer-than-a-phone-is-wide" : "gpt-4.1",
    // The one with the long name spends most.
    usage: {
      input_text_tokens: (index % 5 === 4 ? 923_456 : 123_456) + index,
      cache_read_tokens: 100 * index,
      output_text_tokens: 789,
    },
  }));
}

describe("the look of the page", { timeout: 1_200_000 }, () => {
  let collector: Collector;
  let browser: Browser;
  before(async () => {
    collector = await Collector.start(`all ${READ}\n`);
    await collector.send(calls());
    for (const [name, limit, ...scope] of [
      ["small", "0.01", "--tenant", "acme"],
      ["large", "1000", "--tenant", "beta"],
      ["for-each-tenant-of-this-mesh", "0.02", "--per-tenant"],
    ] as const) {
      collector.command(
        "budgets",
        "set",
        name,
        "--limit",
        limit,
        "--unit",
        "usd",
        "--window",
        "month",
        ...scope,
        "--why",
        "a test",
        "--who",
        "test",
      );
    }
    browser = await browse();
  });
  after(async () => {
    await browser?.close();
    collector?.stop();
  });

  const visit = (query: string, options: BrowserContextOptions = {}): Promise<Visitor> =>
    Visitor.at(browser, collector, query, options);

  async function violations(visitor: Visitor): Promise<string[]> {
    await visitor.page.evaluate(axe());
    return visitor.page.evaluate(async () => {
      interface Found {
        id: string;
        nodes: { html: string; failureSummary?: string }[];
      }
      const { axe } = window as unknown as {
        axe: { run(of: Document): Promise<{ violations: Found[]; passes: Found[] }> };
      };
      const found = await axe.run(document);
      if (found.passes.length < 10) throw new Error("axe has looked at next to nothing");
      return found.violations.flatMap(({ id, nodes }) =>
        nodes.map((node) => `${id}: ${node.html} ${node.failureSummary ?? ""}`),
      );
    });
  }

  it("contract_axe_finds_nothing_to_complain_of_in_light_and_dark_wide_and_narrow", async () => {
    for (const options of [{}, { colorScheme: "dark" }, { viewport: NARROW }] satisfies BrowserContextOptions[]) {
      const visitor = await Visitor.enter(browser, collector, options);
      await visitor.go(collector, "?range=week&live=true");
      await visitor.page.getByLabel("Read token").waitFor();
      assert.deepEqual(await violations(visitor), []);
      await visitor.login();
      await visitor.shown();
      await visitor.page.locator("#time summary").click();
      assert.deepEqual(await violations(visitor), []);
      await visitor.go(collector, "?range=week&tenant=acme/ml&provider=openai&model=gpt-4.1&by=provider&latency=true");
      await visitor.shown();
      assert.deepEqual(await violations(visitor), []);
      await visitor.leave();
    }
  });

  it("contract_the_dark_page_is_dark_and_the_light_one_is_light", async () => {
    for (const [colorScheme, isDark] of [
      ["dark", true],
      ["light", false],
    ] as const) {
      const visitor = await visit("?range=week", { colorScheme });
      const [paper, ink] = await visitor.page.evaluate(() => {
        const style = getComputedStyle(document.body);
        return [style.backgroundColor, style.color].map((text) =>
          (text.match(/[0-9]+/g) ?? []).slice(0, 3).reduce((sum, part) => sum + Number(part), 0),
        );
      });
      assert.equal((paper ?? 0) < (ink ?? 0), isDark, colorScheme);
      await visitor.leave();
    }
  });

  it("contract_nothing_is_wider_than_a_phone", async () => {
    for (const query of [
      "?range=week",
      "?range=week&by=model&latency=true",
      `?range=week&tenant=${LONG}`,
      "?since=2026-01-01&until=2026-12-31&step=month&live=true",
    ]) {
      const visitor = await visit(query, { viewport: NARROW, hasTouch: true, isMobile: true });
      await visitor.page.locator("#time summary").click();
      const wide = await visitor.page.evaluate(() => {
        const inside = (element: Element): boolean => element.closest(".scroll, .chart > div") !== null;
        const out = [...document.querySelectorAll("body *")].filter(
          (element) => !inside(element) && element.getBoundingClientRect().right > innerWidth + 1,
        );
        return {
          page: document.documentElement.scrollWidth,
          out: out.map((element) => element.outerHTML.slice(0, 90)),
        };
      });
      assert.ok(wide.page <= NARROW.width, `${query}: ${JSON.stringify(wide)}`);
      await visitor.leave();
    }
  });

  it("contract_a_table_of_budgets_fits_the_window_and_its_headings_stand_as_the_values_do", async () => {
    const visitor = await visit("?range=week");
    const found = await visitor.page.evaluate(() => {
      const table = document.querySelector("#budget-lines");
      const align = (cell: Element | undefined): string => (cell ? getComputedStyle(cell).textAlign : "none");
      const [head, row] = ["thead tr", "tbody tr"].map((of) => [...(table?.querySelector(of)?.children ?? [])]);
      return {
        wide: table?.scrollWidth ?? Infinity,
        room: table?.parentElement?.clientWidth ?? 0,
        text: table?.textContent ?? "",
        heads: (head ?? []).map(align),
        values: (row ?? []).map(align),
      };
    });
    assert.ok(found.text.includes(LONG) && found.text.includes("by "), found.text);
    assert.ok(found.wide <= found.room, `${found.wide} in ${found.room}`);
    assert.deepEqual(found.heads, found.values);
    assert.deepEqual([found.heads.length, new Set(found.heads).size], [8, 2]);
    await visitor.leave();
  });

  it("contract_every_time_zone_that_the_browser_knows_is_offered_and_the_collector_knows_it", async () => {
    const visitor = await visit("?range=week");
    const { page } = visitor;
    const offered = await page.locator("#zone option").evaluateAll((all) => all.map((of) => of.getAttribute("value")));
    assert.ok(offered.length > 300 && new Set(offered).size === offered.length);
    assert.equal(offered[0], "UTC");
    const refused = await page.evaluate(async (zones) => {
      const out: string[] = [];
      for (const zone of zones) {
        const query = new URLSearchParams({ since: "2026-01-01", until: "2026-01-01", time_zone: zone ?? "" });
        const response = await fetch(`v1/report?${query}`);
        if (!response.ok) out.push(`${zone}: ${await response.text()}`);
      }
      return out;
    }, offered);
    assert.deepEqual(refused, []);
    await page.locator("#zone").selectOption("Asia/Tokyo");
    await visitor.shown();
    assert.match(await visitor.text("#when"), /Asia\/Tokyo/);
    await visitor.leave();
  });

  it("contract_everything_is_reached_and_done_by_keyboard", async () => {
    const visitor = await Visitor.enter(browser, collector);
    const { page } = visitor;
    await visitor.go(collector, "?range=week");
    await page.getByLabel("Read token").waitFor();
    await page.keyboard.type(READ);
    await page.keyboard.press("Enter");
    await visitor.shown();
    const focused = (): Promise<string> =>
      page.evaluate(() => {
        const of = document.activeElement;
        return of
          ? `${of.tagName.toLowerCase()}#${of.id} ${of.getAttribute("aria-label") ?? ""} ${(of.textContent ?? "").slice(0, 20)}`
          : "";
      });
    const seen: string[] = [];
    for (let press = 0; press < 80; press++) {
      await page.keyboard.press("Tab");
      seen.push(await focused());
    }
    for (const wanted of [
      "button#logout",
      "select#range",
      "select#step",
      "select#metric",
      "select#zone",
      "input#live",
      "select#by",
      "input#search",
      "button#sort-calls",
      "Table by tenant",
      "a# ",
      "summary#",
      "Table of budgets",
    ]) {
      assert.ok(
        seen.some((of) => of.includes(wanted)),
        `${wanted}: ${seen.join("\n")}`,
      );
    }
    // Whoever goes down a path comes to its name, and goes on from there.
    await page.getByRole("link", { name: "acme", exact: true }).focus();
    await page.keyboard.press("Enter");
    await visitor.shown();
    assert.match(page.url(), /tenant=acme/);
    assert.match(await focused(), /^h1#where/);
    await page.locator("#sort-calls").focus();
    await page.keyboard.press("Enter");
    await page.locator("th[aria-sort=descending] #sort-calls").waitFor();
    assert.match(await focused(), /^button#sort-calls/);
    await page.locator("#range").focus();
    await page.keyboard.press("ArrowUp");
    await visitor.shown();
    assert.match(await focused(), /^select#range/);
    await visitor.leave();
  });

  it("contract_a_refusal_is_shown_in_the_collectors_words_and_nothing_of_before_stays", async () => {
    const visitor = await visit("?range=week");
    await visitor.page.route("**/v1/report*", (route) =>
      route.fulfill({ status: 400, contentType: "application/json", body: '{"error": "by: \\u202eno"}' }),
    );
    await visitor.page.locator("#by").selectOption("model");
    await visitor.page.getByText("by: \u27e8U+202E\u27e9no").waitFor();
    assert.equal(await visitor.page.locator("#groups, #total-charge, canvas").count(), 0);
    assert.deepEqual(await violations(visitor), []);
    await visitor.page.unroute("**/v1/report*");
    await visitor.page.locator("#by").selectOption("provider");
    await visitor.page.locator("#groups").waitFor();
    await visitor.leave();
  });

  it("contract_what_comes_is_shown_while_one_looks_and_is_told_to_a_screen_reader", async () => {
    const visitor = await visit("?range=week&live=true");
    const calls = async (): Promise<number> => Number((await visitor.text("#total-calls")).replaceAll(",", ""));
    const begun = await calls();
    await collector.send(
      [{ at: new Date(), tenant: "beta", model: "gpt-4.1", usage: { input_text_tokens: 5 } }],
      "2f8fad5bd9cb469fa16570867728950e",
    );
    await visitor.page.waitForFunction(
      (before) => Number(document.querySelector("#total-calls")?.textContent?.replaceAll(",", "")) === before + 1,
      begun,
    );
    await visitor.shown();
    assert.match(await visitor.text("#newest"), /1 call/);
    assert.match(await visitor.text("[role=status]"), new RegExp(`Read at .*: ${begun + 1} calls`));
    await visitor.leave();
  });
});
