// Logging in and out, in the browser and beside it: what a session admits to, and what it does not.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Browser } from "playwright-core";
import { ACME, browse, Collector, PATIENCE, READ, Visitor } from "./harness.ts";

const at = new Date(Date.now() - 60_000);
const usage = { input_text_tokens: 1000, output_text_tokens: 10 };

describe("sessions", { timeout: 1_200_000 }, () => {
  let collector: Collector;
  let browser: Browser;
  const tokens = `all ${READ}\nacme ${ACME} tenants=acme,acme/*\n`;
  before(async () => {
    collector = await Collector.start(tokens);
    await collector.send([
      { at, tenant: "acme/ml", model: "gpt-4.1", usage },
      { at, tenant: "rival", model: "gpt-4.1", usage },
    ]);
    browser = await browse();
  });
  after(async () => {
    await browser?.close();
    collector?.stop();
  });

  function post(
    path: string,
    body: string,
    headers: Record<string, string> = { "content-type": "application/json" },
  ): Promise<Response> {
    return fetch(`${collector.base}${path}`, { method: "POST", body, headers });
  }

  async function session(token: string): Promise<string> {
    const response = await post("/login", JSON.stringify({ token }));
    assert.equal(response.status, 200);
    return response.headers.get("set-cookie")?.split(";")[0] ?? "";
  }

  it("contract_a_wrong_token_is_refused_in_words_and_the_right_one_is_kept_from_scripts", async () => {
    const visitor = await Visitor.enter(browser, collector);
    const { page } = visitor;
    await visitor.go(collector);
    await visitor.login("wrong-token-0123456789");
    await page.getByText("The collector does not know this token.").waitFor();
    assert.equal(await page.getByLabel("Read token").inputValue(), "");
    await visitor.login();
    await visitor.shown();
    assert.equal(await page.evaluate(() => document.cookie), "", "no script can read it");
    const [cookie, ...others] = await visitor.context.cookies();
    assert.ok(cookie && others.length === 0);
    assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.path], [true, "Strict", "/"]);
    assert.match(cookie.value, /^[0-9a-f]{32}$/);
    assert.ok(!page.url().includes(READ) && !(await page.content()).includes(READ));
    assert.deepEqual(await page.evaluate(() => [localStorage.length, sessionStorage.length]), [0, 0]);
    await page.reload();
    await visitor.shown();
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByText("You are logged out.").waitFor();
    assert.deepEqual(await visitor.context.cookies(), []);
    const again = await fetch(`${collector.base}/v1/report`, { headers: { cookie: `meshmeter=${cookie.value}` } });
    assert.equal(again.status, 401, "the session is over, not only the cookie gone");
    await visitor.leave();
  });

  it("contract_a_session_reads_and_does_nothing_else", async () => {
    const cookie = await session(READ);
    const batch = { "content-type": "application/cloudevents-batch+json" };
    for (const path of ["/v1/report", "/v1/usage", "/v1/costs", "/v1/budgets", "/v1/gaps", "/metrics"]) {
      const response = await fetch(`${collector.base}${path}`, { headers: { cookie } });
      assert.equal(response.status, 200, path);
      assert.match(response.headers.get("cache-control") ?? "", /no-store|private/, path);
    }
    for (const [path, body] of [
      ["/v1/events", "[]"],
      ["/v1/leases", "{}"],
      ["/v1/missing", "{}"],
    ] as const) {
      assert.equal((await post(path, body, { ...batch, cookie })).status, 401, path);
    }
    const wrong = await fetch(`${collector.base}/v1/report`, {
      headers: { cookie, authorization: "Bearer wrong-token-0123456789" },
    });
    assert.equal(wrong.status, 401, "what is shown beside a cookie counts, not the cookie");
    for (const name of ["", "0".repeat(32), cookie.split("=")[1]?.slice(0, 31) ?? ""]) {
      assert.equal(
        (await fetch(`${collector.base}/v1/report`, { headers: { cookie: `meshmeter=${name}` } })).status,
        401,
      );
    }
  });

  it("contract_a_form_of_another_site_cannot_log_in_and_what_cannot_be_a_token_is_refused", async () => {
    const form = { "content-type": "application/x-www-form-urlencoded" };
    assert.equal((await post("/login", `token=${READ}`, form)).status, 415);
    assert.equal((await post("/login", JSON.stringify({ token: READ }), { "content-type": "text/plain" })).status, 415);
    assert.equal((await post("/login", "{}")).status, 400);
    assert.equal((await post("/login", JSON.stringify({ token: "x".repeat(5000) }))).status, 413);
    for (const token of ["", "\u0000", "\n", "é", "ingest-token-of-the-tests"]) {
      const response = await post("/login", JSON.stringify({ token }));
      assert.ok([401, 403].includes(response.status), JSON.stringify(token));
      assert.equal(response.headers.get("set-cookie"), null);
    }
    const crossed = await fetch(`${collector.base}/login`, {
      method: "OPTIONS",
      headers: { origin: "https://evil.example", "access-control-request-method": "POST" },
    });
    assert.equal(crossed.headers.get("access-control-allow-origin"), null);
  });

  it("contract_the_page_allows_nothing_of_others_and_its_files_are_kept_for_ever", async () => {
    const page = await fetch(`${collector.base}/`);
    const policy = page.headers.get("content-security-policy") ?? "";
    assert.match(policy, /default-src 'self'/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.ok(!policy.includes("unsafe"));
    assert.equal(page.headers.get("x-content-type-options"), "nosniff");
    assert.equal(page.headers.get("referrer-policy"), "no-referrer");
    const html = await page.text();
    assert.ok(!/<script(?![^>]*\bsrc=)|<style|\bon[a-z]+=|style=|https?:/.test(html), html);
    const files = [...html.matchAll(/(?:src|href)="(assets\/[^"]+)"/g)].map((found) => found[1] ?? "");
    assert.equal(files.length, 3);
    for (const file of files) {
      const response = await fetch(`${collector.base}/${file}`);
      assert.equal(response.status, 200);
      assert.match(response.headers.get("cache-control") ?? "", /immutable/);
    }
    for (const path of [
      "/assets/",
      "/assets/none.js",
      "/assets/..%2findex.html",
      "/assets/index.html",
      "/assets/.sources",
    ]) {
      assert.equal((await fetch(`${collector.base}${path}`)).status, 404, path);
    }
  });

  it("contract_a_session_of_some_tenants_shows_nothing_of_others", async () => {
    const visitor = await Visitor.enter(browser, collector);
    await visitor.go(collector, "?range=week&tenant=&by=tenant");
    await visitor.login(ACME);
    await visitor.shown();
    assert.deepEqual(
      (await visitor.table("#groups")).map(([name]) => name),
      ["acme"],
    );
    for (const query of ["?range=week&tenant=rival", "?range=week&by=model", "?range=week&search=r"]) {
      await visitor.go(collector, query);
      await visitor.shown();
      const text = await visitor.page.locator("main").innerText();
      assert.ok(!text.replace("rival\n", "").includes("rival") && !text.includes("2,000"), query);
    }
    await visitor.page.getByText("acme, acme/*").waitFor();
    await visitor.page.getByText("Gaps are shown to those who can see all tenants").waitFor();
    await visitor.leave();
  });

  it("contract_a_withdrawn_token_ends_its_sessions_and_the_page_says_so", async () => {
    const visitor = await Visitor.enter(browser, collector);
    await visitor.go(collector);
    await visitor.login();
    await visitor.shown();
    collector.grant(tokens.replace(READ, "another-token-of-the-tests"));
    const deadline = Date.now() + PATIENCE;
    const cookie = (await visitor.context.cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");
    while ((await fetch(`${collector.base}/v1/gaps`, { headers: { cookie } })).status !== 401) {
      assert.ok(Date.now() < deadline, "the collector never looked at its tokens");
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    await visitor.page.getByLabel("Range").selectOption("week");
    await visitor.page.getByText("You were logged out: log in again.").waitFor();
    assert.equal(await visitor.page.locator("table").count(), 0, "nothing of it stays on the page");
    collector.grant(tokens);
    await visitor.leave();
  });
});

describe("an open collector", { timeout: 600_000 }, () => {
  it("contract_nobody_logs_in_where_nobody_is_asked", async () => {
    const collector = await Collector.start(undefined);
    const browser = await browse();
    try {
      const visitor = await Visitor.enter(browser, collector);
      await visitor.go(collector);
      await visitor.shown();
      assert.equal(await visitor.page.getByRole("button", { name: "Log out" }).count(), 0);
      await visitor.page.getByText("No calls.").waitFor();
      await visitor.leave();
    } finally {
      await browser.close();
      collector.stop();
    }
  });
});
