// Amounts as they are shown. What has no price is not free: nowhere does it look like 0.

import type { Amount } from "./decimal.ts";
import { h } from "./dom.ts";
import { adjusted, lacks, type Sum } from "./lines.ts";
import { usd, usdText } from "./names.ts";

const UNPRICED = "no price book has a price for it: unknown is not free";
const UNCHARGED = "nothing was counted that could be charged";
/** What a row or a sentence says of a part that adjusts a month. */
export const ADJUSTS = "credits and debits for calls of a month that was closed before";

type Known = "all" | "part" | "unpriced" | "uncharged";

/** How much of what it costs is known. */
function known(sum: Sum): Known {
  if (sum.priced) return lacks(sum) ? "part" : "all";
  if (lacks(sum)) return "unpriced";
  return sum.calls === 0 ? "all" : "uncharged";
}

/** What a sum is charged or costs. */
export function owed(sum: Sum, of: Amount): HTMLElement {
  switch (known(sum)) {
    case "all":
      return usd(of);
    case "part":
      return h("span", {}, usd(of), " ", h("span", { class: "quiet", title: UNPRICED }, "+ unpriced"));
    case "unpriced":
      return h("span", { class: "quiet", title: UNPRICED }, "unpriced");
    case "uncharged":
      return h("span", { class: "quiet", title: UNCHARGED }, "–");
  }
}

/** The same as a text. */
export function owedText(sum: Sum, of: Amount): string {
  switch (known(sum)) {
    case "all":
      return usdText(of);
    case "part":
      return `${usdText(of)} + unpriced`;
    case "unpriced":
      return "unpriced";
    case "uncharged":
      return "–";
  }
}

/** What of a sum adjusts closed months. */
export function adjustments(sum: Sum, show: (of: Sum) => HTMLElement | string): (HTMLElement | string)[] {
  return adjusted(sum).flatMap(([month, of], index) => [index === 0 ? "" : ", ", show(of), ` adjusts ${month}`]);
}
