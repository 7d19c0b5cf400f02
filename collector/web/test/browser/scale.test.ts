// Many tenants: what the page reads and draws is bounded. Only with `./just web-test --full`, which prints how long it takes.

import assert from "node:assert/strict";
import { it } from "node:test";
import { browse, Collector, READ, Visitor } from "./harness.ts";
import { plain, report, sum } from "./truth.ts";

const TENANTS = 100_000;
const skip = process.env["MESHMETER_FULL"] === undefined && "only with --full";

it("fidelity_a_hundred_thousand_tenants_are_a_page_like_any_other", { skip, timeout: 3_600_000 }, async () => {
  const collector = await Collector.start(`all ${READ}\n`);
  const browser = await browse();
  try {
    const at = new Date(Date.now() - 60_000);
    const name = (index: number): string => `t${String(index).padStart(6, "0")}`;
    const calls = Array.from({ length: TENANTS }, (_, index) => ({
      at,
      tenant: name(index),
      model: "gpt-4.1",
      usage: { input_text_tokens: 1 + index },
    }));
    await collector.send(calls);
    const visitor = await Visitor.enter(browser, collector);
    let bytes = 0;
    visitor.page.on(
      "response",
      (response) =>
        void response.body().then(
          (body) => (bytes += body.length),
          () => 0,
        ),
    );
    await visitor.go(collector, "?range=week");
    const begun = performance.now();
    await visitor.login();
    await visitor.page.locator("#total-charge").waitFor();
    const first = Math.round(performance.now() - begun);
    await visitor.shown();
    const all = Math.round(performance.now() - begun);
    console.log(
      `${TENANTS} tenants: totals and bars after ${first} ms, the groups after ${all} ms, ${bytes} bytes read`,
    );
    const rows = await visitor.table("#groups");
    assert.equal(rows.length, 26);
    assert.deepEqual([rows[0]?.[0], rows[25]?.[0]], [name(TENANTS - 1), "99,975 others"]);
    assert.equal(plain(await visitor.text("#total-charge")), sum(report(collector, "--by", "day").totals).charge);
    assert.ok((await visitor.page.locator("*").count()) < 3000, "what is drawn is bounded");
    await visitor.page.locator("#search").fill("t00001");
    await visitor.page.getByRole("button", { name: "Find" }).click();
    await visitor.shown();
    const found = (await visitor.table("#groups")).map(([of]) => of);
    assert.deepEqual(
      found,
      Array.from({ length: 10 }, (_, index) => name(19 - index)),
    );
    await visitor.leave();
  } finally {
    await browser.close();
    collector.stop();
  }
});
