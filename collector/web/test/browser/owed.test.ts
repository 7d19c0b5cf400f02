// What is not a plain amount: calls without a price, what adjusts a closed month, and what of both is of now.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Browser } from "playwright-core";
import { browse, Collector, READ, Visitor, type Call } from "./harness.ts";
import { owed, plain, report, shownOwed, whole } from "./truth.ts";

const now = new Date();
const day = (date: Date): string => date.toISOString().slice(0, 10);
/** A day in the middle of the month before this one, which is closed, and some minutes ago. */
const THEN = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - 1, 15, 12));
const CLOSED = day(THEN).slice(0, 7);
const MINUTES_AGO = new Date(
  Math.max(now.getTime() - 5 * 60_000, Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1)),
);
const PERIOD = [day(MINUTES_AGO), day(now)] as const;
const RANGE = `since=${PERIOD[0]}&until=${PERIOD[1]}`;

const call = (at: Date, tenant: string, model: string, tokens: number): Call => ({
  at,
  tenant,
  model,
  usage: { input_text_tokens: tokens },
});

describe("amounts of the page", { timeout: 1_200_000 }, () => {
  let collector: Collector;
  let browser: Browser;
  before(async () => {
    collector = await Collector.start(`all ${READ}\n`);
    await collector.send([
      call(THEN, "acme", "gpt-4.1", 1000),
      call(THEN, "beta", "gpt-4.1", 1000),
      call(MINUTES_AGO, "acme", "gpt-4.1", 500),
      call(MINUTES_AGO, "acme", "no-such-model", 40),
      call(MINUTES_AGO, "beta", "no-such-model", 41),
    ]);
    collector.command("close", CLOSED, "--reason", "a test");
    // These come late: they are calls of a closed month, and are booked today.
    const late = [call(THEN, "acme", "gpt-4.1", 2_000_000), call(THEN, "gamma", "gpt-4.1", 3_000_000)];
    await collector.send(late, "1f8fad5bd9cb469fa16570867728950e");
    browser = await browse();
  });
  after(async () => {
    await browser?.close();
    collector?.stop();
  });

  const visit = (query: string): Promise<Visitor> => Visitor.at(browser, collector, query);

  const printed = () => report(collector, "--since", PERIOD[0], "--until", PERIOD[1], "--by", "tenant:1");

  it("contract_what_has_no_price_is_unpriced_in_every_table_and_under_the_pointer", async () => {
    const visitor = await visit(`?${RANGE}&by=model`);
    const rows = new Map((await visitor.table("#groups")).map(([name, ...cells]) => [name, cells]));
    const unpriced = [...rows].find(([name]) => name?.startsWith("no-such-model"))?.[1];
    assert.deepEqual(unpriced?.slice(0, 3), ["unpriced", "unpriced", "81"]);
    assert.match(await visitor.text("[role=status]"), /\$[0-9.]+ \+ unpriced\.$/);
    assert.match(await visitor.text(".chart figcaption"), /unpriced has no height/);
    await visitor.go(collector, `?${RANGE}&tenant=beta`);
    await visitor.shown();
    assert.equal(await visitor.text("#total-charge"), "unpriced");
    assert.equal(await visitor.text("#total-cost"), "unpriced");
    await visitor.page.locator("#time summary").click();
    assert.deepEqual((await visitor.table("#steps")).at(-1)?.slice(1), ["unpriced", "unpriced"]);
    const title = await visitor.page.locator("#total-charge [title]").getAttribute("title");
    assert.match(title ?? "", /unknown is not free/);
    await visitor.page.locator(".chart .u-over").hover();
    await visitor.page.getByText(/^[0-9-]+: all unpriced$/).waitFor();
    await visitor.leave();
  });

  it("contract_what_has_no_price_is_not_less_than_before", async () => {
    const since = day(new Date(THEN.getTime() + 86_400_000));
    const visitor = await visit(`?since=${since}&until=${PERIOD[1]}`);
    assert.match(await visitor.text("#totals dl"), /% compared with/);
    await visitor.go(collector, `?since=${since}&until=${PERIOD[1]}&tenant=beta`);
    await visitor.shown();
    assert.equal(await visitor.text("#total-charge"), "unpriced");
    assert.doesNotMatch(await visitor.text("#totals dl"), /compared with|no charge from/);
    await visitor.leave();
  });

  it("fidelity_what_adjusts_a_closed_month_is_a_row_of_its_own_under_the_sum_that_has_it", async () => {
    const visitor = await visit(`?${RANGE}`);
    const rows = await visitor.table("#groups");
    const names = rows.map(([name]) => name);
    const of = `of it adjusts ${CLOSED}`;
    assert.deepEqual(names, ["gamma", of, "acme", of, "beta"]);
    const { lines } = printed();
    for (const [index, tenant] of ["gamma", "acme"].entries()) {
      const own = lines.filter((line) => line["tenant:1"] === tenant);
      const adjusting = own.filter((line) => line["adjusts"] === CLOSED);
      assert.equal(shownOwed(rows[2 * index]?.[1] ?? ""), owed(own), tenant);
      assert.equal(shownOwed(rows[2 * index + 1]?.[1] ?? ""), owed(adjusting), tenant);
      assert.equal(whole(rows[2 * index + 1]?.[6] ?? ""), 1, tenant);
    }
    const adjusting = owed(lines.filter((line) => line["adjusts"] === CLOSED));
    const said = await visitor.text("#adjusts");
    assert.equal(plain(said.split(" ")[0] ?? ""), adjusting, said);
    assert.match(said, new RegExp(`in 2 calls adjusts ${CLOSED}: credits and debits .* closed before`));
    await visitor.page.locator("#time summary").click();
    const step = (await visitor.table("#steps")).find(([name]) => name === of);
    assert.equal(shownOwed(step?.[1] ?? ""), adjusting);
    await visitor.page.locator(".chart .u-over").hover();
    await visitor.leave();
  });

  it("contract_live_tells_calls_of_now_from_what_adjusts_a_closed_month", async () => {
    const visitor = await visit(`?${RANGE}&live=true`);
    const said = await visitor.text("#newest");
    assert.match(said, /^The last 15 minutes: 3 calls, \$[0-9.]+ \+ unpriced, 581 tokens\./);
    const now = printed().lines.filter((line) => line["adjusts"] === undefined);
    assert.equal(shownOwed(said.split(/calls, |, 581/)[1] ?? ""), owed(now));
    const adjusting = owed(printed().lines.filter((line) => line["adjusts"] === CLOSED));
    const besides = /^Besides, (.+) adjusts (.+)\.$/.exec(await visitor.text("#newest-adjusts")) ?? [];
    assert.deepEqual([plain(besides[1] ?? ""), besides[2]], [adjusting, CLOSED]);
    await visitor.leave();
  });
});
