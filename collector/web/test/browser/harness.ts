// A real collector with a real ledger, and a real browser. Loopback only; everything is gone at the end.

import assert from "node:assert/strict";
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type Page } from "playwright-core";

export const READ = "read-token-of-the-tests";
export const ACME = "read-token-of-acme-only";
const INGEST = "ingest-token-of-the-tests";
/** Long enough for any machine: only what hangs waits longer. */
export const PATIENCE = 120_000;

function required(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: ./just web-test sets it`);
  return value;
}

export interface Call {
  at: Date;
  tenant: string;
  provider?: string;
  model: string;
  /** Counts by field. */
  usage?: Record<string, number>;
  evidence?: string;
}

function event(call: Call, emitter: string, sequence: number): unknown {
  const usage = call.usage ?? {};
  const of = (total: string, form: RegExp): Record<string, number> => {
    const counts = Object.entries(usage).filter(([name]) => form.test(name));
    return counts.length > 0 ? { [total]: counts.reduce((sum, [, count]) => sum + count, 0) } : {};
  };
  const missing = call.evidence === "missing" ? { missing_reason: "absent" } : {};
  const totals = { ...of("input_tokens", /^(input|cache)_/), ...of("output_tokens", /^output_/) };
  return {
    specversion: "1.0",
    type: "meshmeter.call.v1",
    source: "meshmeter",
    id: `${emitter}-${sequence}`,
    time: call.at.toISOString(),
    subject: call.tenant,
    data: {
      emitter,
      sequence,
      tenant: call.tenant,
      tenant_source: "header",
      provider: call.provider ?? "openai",
      api: "openai_chat",
      operation: "chat",
      response_model: call.model,
      outcome: "completed",
      evidence: call.evidence ?? "reported",
      duration_us: 250_000 + 61_337 * sequence,
      time_to_first_token_us: 20_000 + 777 * sequence,
      ...(sequence % 2 === 0 ? { time_per_output_token_us: 900 + sequence } : {}),
      ...missing,
      ...totals,
      ...usage,
    },
  };
}

export class Collector {
  private readonly dir = mkdtempSync(join(tmpdir(), "meshmeter-web-"));
  readonly database = join(this.dir, "ledger.db");
  private readonly tokens = join(this.dir, "readers");
  private process: ChildProcess | undefined;
  base = "";

  /** Starts it with a prices file and read tokens, one a line; without tokens for everybody. */
  static async start(tokens: string | undefined): Promise<Collector> {
    const collector = new Collector();
    const args = [
      "serve",
      "--listen",
      "127.0.0.1:0",
      "--database",
      collector.database,
      "--prices",
      required("MESHMETER_PRICES_EXAMPLE"),
    ];
    if (tokens === undefined) args.push("--insecure-no-auth");
    else args.push("--read-token-file", collector.grant(tokens));
    const env = {
      PATH: process.env["PATH"],
      MESHMETER_NO_BUILTIN_PRICES: "true",
      ...(tokens !== undefined && { MESHMETER_INGEST_TOKEN: INGEST }),
    };
    const started = spawn(required("MESHMETER_COLLECTOR"), args, { env, stdio: ["ignore", "pipe", "inherit"] });
    collector.process = started;
    collector.base = await new Promise<string>((resolve, reject) => {
      let said = "";
      started.stdout.on("data", (data) => {
        const at = /listening on (http:\S+)/.exec((said += data));
        if (at?.[1]) resolve(at[1]);
      });
      started.on("exit", () => reject(new Error("the collector has ended")));
    });
    return collector;
  }

  /** These read tokens hold from now on, or as soon as the collector has looked. */
  grant(tokens: string): string {
    writeFileSync(this.tokens, tokens, { mode: 0o600 });
    return this.tokens;
  }

  /** Sends calls of an emitter, numbered from a number on. */
  async send(calls: Call[], emitter = "0f8fad5bd9cb469fa16570867728950e", first = 1): Promise<void> {
    for (let from = 0; from < calls.length; from += 500) {
      const events = calls.slice(from, from + 500).map((call, index) => event(call, emitter, first + from + index));
      const response = await fetch(`${this.base}/v1/events`, {
        method: "POST",
        headers: { authorization: `Bearer ${INGEST}`, "content-type": "application/cloudevents-batch+json" },
        body: JSON.stringify(events),
      });
      const text = await response.text();
      const taken = JSON.parse(text) as { accepted?: number };
      assert.equal(taken.accepted, events.length, text);
    }
  }

  /** What a command of the program prints. */
  command(...args: string[]): string {
    try {
      return execFileSync(required("MESHMETER_COLLECTOR"), [...args, "--database", this.database], {
        encoding: "utf8",
        env: { MESHMETER_NO_BUILTIN_PRICES: "true", PATH: process.env["PATH"] },
      });
    } catch (error) {
      // `gaps` and `budgets` say by their status that there is something.
      const said = error as { status?: number; stdout?: string };
      if (said.status === 3 && said.stdout !== undefined) return said.stdout;
      throw error;
    }
  }

  stop(): void {
    this.process?.removeAllListeners("exit");
    this.process?.kill("SIGTERM");
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** A browser in which nothing goes wrong unnoticed: each page's problems are kept. */
export class Visitor {
  private constructor(
    readonly context: BrowserContext,
    readonly page: Page,
    private readonly problems: string[],
  ) {}

  static async enter(browser: Browser, collector: Collector, options: BrowserContextOptions = {}): Promise<Visitor> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    context.setDefaultTimeout(PATIENCE);
    const page = await context.newPage();
    const problems: string[] = [];
    page.on("pageerror", (error) => problems.push(`an exception: ${error.message}`));
    page.on("console", (message) => {
      // A refusal with 401 is what is expected before one has logged in.
      if (message.type() === "error" && !message.text().includes("status of 40"))
        problems.push(`the console: ${message.text()}`);
    });
    page.on("request", (request) => {
      if (!request.url().startsWith(`${collector.base}/`)) problems.push(`another host: ${request.url()}`);
    });
    await page.exposeFunction("violated", (what: string) => problems.push(`the policy: ${what}`));
    await page.addInitScript(() => {
      addEventListener("securitypolicyviolation", (event) => {
        (window as unknown as { violated(what: string): void }).violated(
          `${event.violatedDirective} ${event.blockedURI}`,
        );
      });
    });
    return new Visitor(context, page, problems);
  }

  /** Logged in, at an address of the page. */
  static async at(
    browser: Browser,
    collector: Collector,
    query: string,
    options: BrowserContextOptions = {},
  ): Promise<Visitor> {
    const visitor = await Visitor.enter(browser, collector, options);
    await visitor.go(collector, query);
    await visitor.login();
    await visitor.shown();
    return visitor;
  }

  /** Goes to an address of the page, and waits until everything is shown. */
  async go(collector: Collector, query = ""): Promise<void> {
    await this.page.goto(`${collector.base}/${query}`);
  }

  async login(token = READ): Promise<void> {
    await this.page.getByLabel("Read token").fill(token);
    await this.page.getByRole("button", { name: "Log in" }).click();
  }

  /** Waits until what was asked for is shown. */
  async shown(): Promise<void> {
    await this.page.waitForFunction(() => {
      const main = document.querySelector("main");
      return main?.querySelector("#totals dl") && !main.hasAttribute("aria-busy");
    });
  }

  /** A text of the page. */
  async text(selector: string): Promise<string> {
    return (await this.page.locator(selector).innerText()).trim();
  }

  /** A table, by rows of cells. */
  async table(selector: string): Promise<string[][]> {
    return this.page
      .locator(`${selector} tbody tr`)
      .evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => (cell.textContent ?? "").trim())));
  }

  async leave(): Promise<void> {
    await this.context.close();
    assert.deepEqual(this.problems, []);
  }
}

export async function browse(): Promise<Browser> {
  const places = [process.env["MESHMETER_CHROMIUM"], "/usr/bin/chromium"];
  const executablePath = places.find((place) => place !== undefined && existsSync(place));
  if (executablePath === undefined) throw new Error("there is no Chromium: tools/setup installs Debian's");
  const root = process.getuid?.() === 0;
  return chromium.launch({
    executablePath,
    timeout: PATIENCE,
    args: ["--disable-gpu", "--disable-dev-shm-usage", ...(root ? ["--no-sandbox"] : [])],
  });
}

export function axe(): string {
  return readFileSync("node_modules/axe-core/axe.min.js", "utf8");
}
