// The totals: what was charged and used, how much came from caches, how good the counts are.

import { ADJUSTS, adjustments, owed } from "./amounts.ts";
import type { Report } from "./api.ts";
import { percent, share, type Amount } from "./decimal.ts";
import { h } from "./dom.ts";
import { before, EVIDENCE, total, type Evidence, type Sum } from "./lines.ts";
import { count, counted, foreign } from "./names.ts";

const MEANING: Record<Evidence, string> = {
  reported: "counts from the provider",
  partial: "counts up to where the response broke off",
  estimated: "counted from the visible text",
  missing: "no counts: not in any sum of tokens or amounts",
};

export function summary(report: Report): HTMLElement {
  const sum = total(report);
  const former = before(report.totals);
  const period =
    report.before?.since && report.before.until ? `${report.before.since} to ${report.before.until}` : undefined;
  const changed = percent(sum.charge, former.charge);
  // What is not known is not less than before, and nothing is more than what was not known.
  const known = [sum, former].every((of) => of.priced || of.calls === 0);
  const change =
    period !== undefined &&
    known &&
    h(
      "span",
      { class: "quiet" },
      changed === undefined
        ? `no charge from ${period}`
        : `${changed.startsWith("-") ? "" : "+"}${changed} % compared with ${period}`,
    );
  const cached = share(BigInt(sum.cached), BigInt(sum.input));
  const figures = h(
    "dl",
    { class: "figures" },
    figure("Charge", "total-charge", owed(sum, sum.charge), change),
    figure("Cost", "total-cost", owed(sum, sum.cost), h("span", { class: "quiet" }, "what providers charge")),
    figure(
      "Input tokens",
      "total-input",
      count(sum.input),
      h("span", { class: "quiet" }, cached === undefined ? "none" : `${cached} % from caches`),
    ),
    figure("Output tokens", "total-output", count(sum.output)),
    figure("Calls", "total-calls", count(sum.calls)),
  );
  if (sum.adjusts.size === 0) return figures;
  const adjusting = adjustments(sum, (of) =>
    h("span", {}, owed(of, of.charge), ` of the charge in ${counted(of.calls, "call")}`),
  );
  return h("div", {}, figures, h("p", { id: "adjusts" }, ...adjusting, h("span", { class: "quiet" }, `: ${ADJUSTS}.`)));
}

function figure(name: string, id: string, value: Node | string, more?: Node | false): HTMLElement {
  return h("div", {}, h("dt", {}, name), h("dd", {}, h("span", { id, class: "value" }, value), more));
}

/** How good the counts are: a bar, and the numbers of it. */
export function quality(report: Report): HTMLElement {
  const sum = total(report);
  const unpriced = (report.notes.unpriced ?? []).reduce((calls, model) => calls + model.calls, 0);
  const bar = h("div", { class: "bar", "aria-hidden": "true" });
  for (const evidence of EVIDENCE) {
    const part = h("span", { class: evidence });
    part.style.flexGrow = String(sum.evidence[evidence]);
    if (sum.evidence[evidence] > 0) bar.append(part);
  }
  const line = (evidence: Evidence): HTMLElement =>
    h(
      "div",
      {},
      h("dt", {}, h("span", { class: `swatch ${evidence}` }), evidence),
      h(
        "dd",
        {},
        h("span", { id: `calls-${evidence}` }, count(sum.evidence[evidence])),
        " ",
        h("span", { class: "quiet" }, MEANING[evidence]),
      ),
    );
  return h(
    "div",
    {},
    h("p", { class: "quiet" }, "Calls by where their counts come from:"),
    bar,
    h(
      "dl",
      { class: "lines" },
      ...EVIDENCE.map(line),
      h(
        "div",
        {},
        h("dt", {}, "unpriced"),
        h(
          "dd",
          {},
          h("span", { id: "calls-unpriced" }, count(unpriced)),
          " ",
          h(
            "span",
            { class: "quiet" },
            "calls of models that lack a price for something; the amounts do not include it",
          ),
        ),
      ),
    ),
  );
}

/** What the amounts leave out, and what to do. */
export function unpriced(report: Report): HTMLElement | undefined {
  const models = report.notes.unpriced ?? [];
  if (models.length === 0) return undefined;
  const rows = models.slice(0, 50).map((model) => {
    const units = Object.entries(model.units ?? {}).map(([name, of]) => `${count(of)} ${name}`);
    const what = [...(model.tokens > 0 ? [counted(model.tokens, "token")] : []), ...units].join(", ");
    return h(
      "li",
      {},
      foreign(model.provider),
      " ",
      h("strong", {}, foreign(model.model)),
      `: ${what} without a price, in ${counted(model.calls, "call")}`,
    );
  });
  return h(
    "div",
    {},
    h("ul", {}, ...rows),
    models.length > rows.length && h("p", {}, `and ${models.length - rows.length} more models`),
    h(
      "p",
      { class: "quiet" },
      "Add a price for each to the price book, and run ",
      h("code", {}, "meshmeter rerate"),
      ": it rates the calls anew.",
    ),
  );
}

export function metric(name: "charge" | "tokens" | "calls"): (sum: Sum) => Amount {
  switch (name) {
    case "charge":
      return (sum) => sum.charge;
    case "tokens":
      return (sum) => BigInt(sum.input) + BigInt(sum.output);
    case "calls":
      return (sum) => BigInt(sum.calls);
  }
}
