// What is not a matter of the range: budgets in their windows of now, and what the ledger lacks.

import type { Budget, Gaps } from "./api.ts";
import { amount } from "./decimal.ts";
import { h } from "./dom.ts";
import { count, counted, foreign, usd } from "./names.ts";

export function budgets(all: readonly Budget[]): HTMLElement {
  if (all.length === 0)
    return h("p", { class: "quiet" }, "There are no budgets. ", h("code", {}, "meshmeter budgets set"), " sets one.");
  const texts = ["budget", "of", "mode", "until"].map((name) => h("th", { scope: "col", class: "text" }, name));
  const amounts = ["limit", "spent", "leased", "left"].map((name) => h("th", { scope: "col" }, name));
  const rows = all.map((budget) => {
    const value = (text: string): Node | string =>
      budget.unit === "usd" ? usd(amount(text)) : `${count(Number(text))} ${budget.unit}`;
    const until = new Intl.DateTimeFormat("en-CA", {
      timeZone: budget.zone,
      dateStyle: "short",
      timeStyle: "short",
      hourCycle: "h23",
    }).format(budget.until * 1000);
    const spent =
      budget.spent_by === undefined
        ? value(budget.spent)
        : h("span", { class: "wraps" }, value(budget.spent), " by ", foreign(budget.spent_by));
    const isOut = budget.exhausted > 0;
    const exhausted = `; ${counted(budget.exhausted, "tenant")} of ${count(budget.tenants)} with nothing left`;
    const left = h("span", { class: "wraps" }, value(budget.left), budget.per_tenant && isOut && exhausted);
    return h(
      "tr",
      isOut ? { class: "out" } : {},
      h("th", { scope: "row" }, foreign(budget.name)),
      h("td", { class: "text" }, scope(budget)),
      h("td", { class: "text" }, budget.mode),
      h("td", { class: "text" }, h("span", { class: "together" }, until), ` ${budget.zone}`),
      h("td", {}, value(budget.limit)),
      h("td", {}, spent, fullness(budget)),
      h("td", {}, value(budget.leased)),
      h("td", {}, left),
    );
  });
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": "Table of budgets" },
    h(
      "table",
      { id: "budget-lines" },
      h("caption", {}, "Current windows"),
      h("thead", {}, h("tr", {}, ...texts, ...amounts)),
      h("tbody", {}, ...rows),
    ),
  );
}

function scope(budget: Budget): HTMLElement {
  const model = [budget.provider, budget.model]
    .filter((name) => name !== undefined)
    .flatMap((name) => [" ", foreign(name)]);
  const whose = budget.tenant === undefined ? "all tenants" : foreign(budget.tenant);
  return h("span", {}, budget.per_tenant && "each of ", whose, ...model);
}

/** How much of it is spent, as a bar. */
function fullness(budget: Budget): HTMLElement {
  const [spent, limit] = [amount(budget.spent), amount(budget.limit)];
  const percent = limit <= 0n ? 100 : Number((spent * 100n) / limit);
  const part = h("span", { class: percent >= 100 ? "missing" : "reported" });
  part.style.width = `${Math.max(0, Math.min(100, percent))}%`;
  return h("span", { class: "fullness" }, part, h("span", { class: "hidden" }, ` ${percent} % of the limit`));
}

const WHAT_TO_DO: { name: keyof Omit<Gaps, "emitters">; title: string; help: (Node | string)[] }[] = [
  {
    name: "missing",
    title: "missing numbers",
    help: [
      "Numbered calls that never arrived. ",
      h("code", {}, "meshmeter gaps"),
      " names them and their cause; ",
      h("code", {}, "meshmeter reconcile"),
      " recovers them from a journal or Envoy's access log.",
    ],
  },
  {
    name: "open_ends",
    title: "open ends",
    help: [
      "Workers that fell silent without a final flush: nobody knows how far they counted. Reconcile their journal; or close them with ",
      h("code", {}, "meshmeter gaps close"),
      " if nothing will come.",
    ],
  },
  {
    name: "alarms",
    title: "alarms",
    help: [
      "Events that contradict the ledger or exceed what their sender may charge. ",
      h("code", {}, "meshmeter alarms"),
      " shows them, ",
      h("code", {}, "meshmeter release"),
      " charges those that are right.",
    ],
  },
  {
    name: "dead_letters",
    title: "dead letters",
    help: [
      "Events that cannot be read or charged. ",
      h("code", {}, "meshmeter alarms"),
      " shows them with the reason.",
    ],
  },
];

/** What the ledger lacks, and what to do about it. */
export function gaps(found: Gaps): HTMLElement {
  const lacking = WHAT_TO_DO.filter(({ name }) => found[name] > 0);
  if (lacking.length === 0)
    return h("p", { id: "gaps-none" }, "Nothing is missing: every numbered call is in the ledger.");
  const lines = lacking.map(({ name, title, help }) =>
    h(
      "div",
      {},
      h("dt", {}, h("span", { id: `gaps-${name}` }, count(found[name])), ` ${title}`),
      h("dd", {}, ...help.map((part) => (part instanceof Node ? part.cloneNode(true) : part))),
    ),
  );
  const emitters = found.emitters.map((emitter) => {
    const what = [
      ...(emitter.missing > 0 ? [counted(emitter.missing, "number") + " missing"] : []),
      ...(emitter.state === "open_end" ? ["open end"] : []),
    ];
    return h(
      "li",
      {},
      h("code", {}, foreign(emitter.emitter)),
      emitter.node !== undefined && h("span", {}, " on ", foreign(emitter.node)),
      `: ${what.join(", ") || "alarms"}; last heard of ${emitter.heard}`,
    );
  });
  return h("div", {}, h("dl", { class: "lines" }, ...lines), emitters.length > 0 && h("ul", {}, ...emitters));
}
