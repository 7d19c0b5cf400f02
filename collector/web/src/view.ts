// One view: from a state to what is on the page. Every change of the state is an address, so that the way back is the browser's.

import { ADJUSTS, adjustments, owed, owedText } from "./amounts.ts";
import { address, get, Refused, type Budget, type Gaps, type Latency, type Report } from "./api.ts";
import { Chart } from "./chart.ts";
import { controls, grouping, METRIC_NAMES } from "./controls.ts";
import { forPixels } from "./decimal.ts";
import { fill, h, refill, section } from "./dom.ts";
import { latency } from "./latency.ts";
import { grouped, lacks, total, type Grouped, type Sum } from "./lines.ts";
import { count, counted, visible } from "./names.ts";
import { path } from "./path.ts";
import * as questions from "./questions.ts";
import { budgets, gaps } from "./standing.ts";
import { days, read, readsCalls, step, write, type State } from "./state.ts";
import { metric, quality, summary, unpriced } from "./summary.ts";
import type { Range } from "./time.ts";
import { groupTable, label, stepTable, type Going } from "./tables.ts";

/** How often it is looked whether something came. */
const POLL_MS = 5_000;
/** The same if that makes the collector read calls. */
const POLL_CALLS_MS = 60_000;
/** The same if the collector does not tell whether something came: it does not to tokens of some tenants. */
const POLL_UNKNOWN_MS = 30_000;

export class View {
  private state: State = read(location.search);
  private readonly chart = new Chart();
  private readonly parts: Record<
    | "choose"
    | "path"
    | "figures"
    | "quality"
    | "unpriced"
    | "latency"
    | "steps"
    | "grouping"
    | "groups"
    | "links"
    | "budgets"
    | "gaps"
    | "newest"
    | "problem",
    HTMLElement
  >;
  private asking: AbortController | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private shownAt = 0;
  private heads = "";
  private restricted = false;
  private running = false;

  constructor(
    private readonly place: HTMLElement,
    private readonly status: HTMLElement,
    private readonly loggedOut: () => void,
  ) {
    const part = (): HTMLElement => h("div");
    this.parts = {
      choose: part(),
      path: h("nav", { "aria-label": "Tenant" }),
      figures: part(),
      quality: part(),
      unpriced: part(),
      latency: part(),
      steps: part(),
      grouping: part(),
      groups: part(),
      links: part(),
      budgets: part(),
      gaps: part(),
      newest: part(),
      problem: h("div", { role: "alert" }),
    };
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible" && this.running) this.poll(0);
    });
  }

  /** Shows what the address says, from now on. */
  start(restricted: boolean): void {
    this.running = true;
    this.restricted = restricted;
    const { parts } = this;
    fill(
      this.place,
      parts.choose,
      parts.path,
      parts.problem,
      section("totals", "Totals", parts.figures, parts.newest),
      section("time", "Over time", this.chart.element, parts.steps),
      section("parts", "Breakdown", parts.grouping, parts.groups, parts.links),
      section("evidence", "Evidence", parts.quality),
      section("prices", "Unpriced models", parts.unpriced),
      section("latency", "Latency", parts.latency),
      section("budgets", "Budgets", parts.budgets),
      section("gaps", "Gaps", parts.gaps),
    );
    this.restore();
  }

  stop(): void {
    this.running = false;
    this.asking?.abort();
    clearTimeout(this.timer);
    fill(this.place);
  }

  /** Goes to where the address is. */
  restore(): void {
    this.state = read(location.search);
    if (this.running) void this.update();
  }

  private readonly change = (change: Partial<State>): void => {
    this.state = { ...this.state, ...change };
    history.pushState(null, "", write(this.state));
    void this.update();
  };

  /** Asks and shows everything. What was asked for before is not waited for. */
  private async update(looking = false): Promise<void> {
    this.asking?.abort();
    this.asking = new AbortController();
    clearTimeout(this.timer);
    const { signal } = this.asking;
    // Whoever chooses something while calls come is not disturbed.
    if (!looking) {
      this.frame();
      fill(this.status, "Reading …");
    }
    this.place.setAttribute("aria-busy", "true");
    try {
      await Promise.all([
        this.figures(signal, looking),
        this.standing(signal),
        this.newest(signal),
        this.latencies(signal),
      ]);
      fill(this.parts.problem);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused && error.status === 401) return this.loggedOut();
      // What was shown before is not what was asked for.
      for (const part of ["figures", "steps", "groups", "links", "quality", "unpriced", "newest", "latency"] as const)
        fill(this.parts[part]);
      this.chart.clear();
      fill(
        this.parts.problem,
        h("p", { class: "problem" }, error instanceof Error ? visible(error.message) : String(error)),
      );
      fill(this.status, "This cannot be shown.");
    }
    if (signal.aborted) return;
    this.place.removeAttribute("aria-busy");
    this.shownAt = Date.now();
    this.poll();
  }

  /** What is known without asking. */
  private frame(): void {
    const { state, parts } = this;
    const range = days(state, new Date());
    // Whoever has chosen something goes on from there.
    const at = document.activeElement?.id;
    const typed =
      document.activeElement instanceof HTMLInputElement && at === "search" ? document.activeElement.value : undefined;
    fill(parts.choose, controls(state, range, this.change));
    fill(parts.grouping, grouping(state, this.change));
    fill(parts.path, ...path(state, range, this.go));
    if (at) {
      const again = document.getElementById(at);
      again?.focus();
      if (again instanceof HTMLInputElement && typed !== undefined) again.value = typed;
    }
    document.title = `${state.tenant === "" ? "All tenants" : visible(state.tenant)}, ${range.since} to ${range.until} – meshmeter`;
  }

  /** Goes somewhere else: the focus with it. */
  private readonly go = (change: Partial<State>): void => {
    this.change(change);
    if (!("sort" in change)) document.getElementById("where")?.focus();
  };

  private async figures(signal: AbortSignal, looking: boolean): Promise<void> {
    const { state, parts } = this;
    const range = days(state, new Date());
    const ask = (parameters: [string, string][]): Promise<Report> =>
      get<Report>(address("v1/report", parameters), signal);
    const table = ask(questions.table(state, range));
    // What became of it is asked below; before that nobody may be waiting for it.
    table.catch(() => undefined);
    const whole = await ask(questions.steps(state, range));
    if (signal.aborted) return;
    // Of many tenants the groups take longer than the whole: that is shown first, but not while one looks at the groups.
    if (!looking) {
      this.bars(range, whole, undefined, []);
      this.sums(whole);
    }
    const report = await table;
    const groups = grouped(report, questions.columns(state));
    const chosen = questions.chosen(state, groups, metric(state.metric));
    const series = chosen.length > 0 ? await ask(questions.stepsOf(state, range, chosen)) : undefined;
    if (signal.aborted) return;
    this.bars(range, whole, series, chosen);
    this.sums(report);
    refill(
      parts.groups,
      report.lines.length > 0 ? groupTable(state, groups, this.going(groups)) : h("p", {}, "No calls."),
    );
    const others = groups.some((group) => !group.key);
    fill(
      parts.links,
      h(
        "p",
        {},
        others && `The ${state.top} largest; the others are one row. `,
        h("a", { href: questions.csv(state, range), download: "meshmeter.csv" }, "Download as CSV"),
        `, with one row per ${step(state, range)}.`,
      ),
    );
    const sum = total(report);
    const time = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" }).format(new Date());
    fill(this.status, `Read at ${time}: ${counted(sum.calls, "call")}, ${owedText(sum, sum.charge)}.`);
  }

  /** The bars, and the same as a table. */
  private bars(range: Range, whole: Report, series: Report | undefined, chosen: readonly Grouped[]): void {
    const { state, parts } = this;
    const of = metric(state.metric);
    const stack = questions.stack(state, range, whole, series, chosen, of);
    const money = state.metric === "charge";
    const key = (of: string[] | undefined): Node =>
      of ? label(state, of) : h("span", {}, chosen.length > 0 ? "all others" : "all");
    const names = stack.series.map((series) => key(series.key).textContent ?? "");
    const stepName = step(state, range);
    this.chart.show({
      stack,
      names,
      pixels: (sum) => (money ? forPixels(of(sum)) : Number(of(sum))),
      text: (sum) => (money ? owedText(sum, of(sum)) : count(Number(of(sum)))),
      says: (sum) => of(sum) !== 0n || (money && lacks(sum)),
      unpriced: money && stack.totals.some(lacks),
      label: `Stacked bars: ${METRIC_NAMES[state.metric]} by ${stepName} and ${state.by}, ${range.since} to ${range.until}. The table has the same numbers.`,
    });
    const show = (sum: Sum): Node | string => (money ? owed(sum, of(sum)) : count(Number(of(sum))));
    const open = parts.steps.querySelector("details")?.open ?? false;
    const table = stepTable(
      stack,
      stack.series.map((series) => key(series.key)),
      stepName,
      METRIC_NAMES[state.metric],
      show,
    );
    refill(parts.steps, h("details", { open }, h("summary", {}, "Show as table"), table));
  }

  /** What there is to say of all of it. */
  private sums(report: Report): void {
    const { parts } = this;
    fill(parts.figures, summary(report));
    fill(parts.quality, quality(report));
    fill(parts.unpriced, unpriced(report) ?? h("p", {}, "Every model has its prices."));
  }

  private going(groups: readonly Grouped[]): Going {
    const { state } = this;
    return {
      to: (group) => {
        const name = group.key?.at(-1);
        if (name === undefined || name === "") return undefined;
        switch (state.by) {
          case "tenant":
            return name === state.tenant ? undefined : { tenant: name, search: "" };
          case "provider":
            return { provider: name, by: "model", search: "" };
          case "model":
            return state.model === name
              ? undefined
              : { model: name, provider: group.key?.[0], by: "tenant", search: "" };
        }
      },
      go: (change) => {
        // What is here already needs no question; a longer list may.
        if (change.sort !== undefined && groups.every((group) => group.key)) {
          this.state = { ...state, ...change };
          history.pushState(null, "", write(this.state));
          fill(this.parts.groups, groupTable(this.state, groups, this.going(groups)));
          document.getElementById(`sort-${change.sort}`)?.focus();
        } else {
          const at = document.activeElement?.id ?? "";
          this.go(change);
          if (change.sort !== undefined) document.getElementById(at)?.focus();
        }
      },
    };
  }

  private async standing(signal: AbortSignal): Promise<void> {
    const [of, found] = await Promise.all([
      get<Budget[]>("v1/budgets", signal),
      this.restricted ? undefined : get<Gaps>("v1/gaps", signal),
    ]);
    if (signal.aborted) return;
    refill(this.parts.budgets, budgets(of));
    fill(
      this.parts.gaps,
      found
        ? gaps(found)
        : h(
            "p",
            { class: "quiet" },
            "Your token is limited to some tenants. Gaps are shown to those who can see all tenants.",
          ),
    );
  }

  /** How long calls took, if that is asked for. */
  private async latencies(signal: AbortSignal): Promise<void> {
    const { state } = this;
    const range = days(state, new Date());
    const ask = async (): Promise<Latency | string> => {
      try {
        return await get<Latency>(address("v1/latency", questions.latency(state, range)), signal);
      } catch (error) {
        // Too many calls for it, or an archive that is away, are no matter of the rest of the page.
        if (error instanceof Refused && error.status !== 401) return error.message;
        throw error;
      }
    };
    const found = state.latency ? await ask() : undefined;
    if (signal.aborted) return;
    refill(
      this.parts.latency,
      latency(state, found, (shown) => this.change({ latency: shown })),
    );
  }

  /** The last quarter of an hour, while one looks. */
  private async newest(signal: AbortSignal): Promise<void> {
    if (!this.state.live) return fill(this.parts.newest);
    const report = await get<Report>(address("v1/report", questions.newest(this.state, new Date())), signal);
    if (signal.aborted) return;
    // What adjusts closed months was booked now, and is of calls of then.
    const sum = total({ ...report, lines: report.lines.filter((line) => line.adjusts === undefined) });
    const adjusting = adjustments(total(report), (of) => owed(of, of.charge));
    fill(
      this.parts.newest,
      h(
        "p",
        { id: "newest" },
        "The last 15 minutes: ",
        counted(sum.calls, "call"),
        ", ",
        owed(sum, sum.charge),
        ", ",
        counted(sum.input + sum.output, "token"),
        ".",
        adjusting.length > 0 && h("span", { id: "newest-adjusts", title: ADJUSTS }, " Besides, ", ...adjusting, "."),
      ),
    );
  }

  /** Looks again after a while, if this is live and anybody sees it. */
  private poll(after = POLL_MS): void {
    clearTimeout(this.timer);
    if (!this.state.live || !this.running) return;
    this.timer = setTimeout(() => void this.look(), after);
  }

  private async look(): Promise<void> {
    if (document.visibilityState !== "visible") return;
    const range = days(this.state, new Date());
    if (readsCalls(this.state, range) && Date.now() - this.shownAt < POLL_CALLS_MS) return this.poll();
    try {
      // The browser sends the entity tag of what it has, and the collector says in a few bytes that nothing came.
      const probe = await get<Report>(
        address("v1/costs", [
          ["since", range.until],
          ["by", "provider"],
          ["top", "1"],
        ]),
      );
      const heads = JSON.stringify(probe.position?.heads ?? Math.floor(Date.now() / POLL_UNKNOWN_MS));
      if (heads !== this.heads) {
        this.heads = heads;
        return void (await this.update(true));
      }
    } catch (error) {
      if (error instanceof Refused && error.status === 401) return this.loggedOut();
      fill(this.status, "The collector does not respond; trying again.");
    }
    this.poll();
  }
}
