// How names, amounts and counts are shown.

import { split, type Amount } from "./decimal.ts";
import { h } from "./dom.ts";

/** Characters that show nothing, or change the direction or the order of others. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]/gu;

/** A foreign name in which every character is visible. */
export function visible(name: string): string {
  return name.replace(
    INVISIBLE,
    (of) => `\u27e8U+${(of.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}\u27e9`,
  );
}

/** A foreign name, apart from what is beside it: its direction is its own. */
export function foreign(name: string): HTMLElement {
  return h("bdi", {}, name === "" ? "(unknown)" : visible(name));
}

/** An amount in USD in full; what is less than a cent is there and quieter. */
export function usd(of: Amount): HTMLElement {
  const [sign, whole, decimals] = split(of);
  const cents = decimals.slice(0, 2).padEnd(2, "0");
  const rest = decimals.slice(2);
  return h(
    "span",
    { class: "usd" },
    `${sign}$${thousands(whole)}.${cents}`,
    rest !== "" && h("span", { class: "rest" }, rest),
  );
}

/** The same as a text. */
export function usdText(of: Amount): string {
  const [sign, whole, decimals] = split(of);
  return `${sign}$${thousands(whole)}.${decimals.padEnd(2, "0")}`;
}

/** A count. One that is too large for an exact number says so. */
export function count(of: number): string {
  return Number.isSafeInteger(of) ? thousands(String(of)) : `about ${of.toLocaleString("en")}`;
}

function thousands(digits: string): string {
  return digits.replace(/\B(?=([0-9]{3})+$)/g, ",");
}

/** `1 call`, `2 calls`. */
export function counted(of: number, one: string, more = `${one}s`): string {
  return `${count(of)} ${of === 1 ? one : more}`;
}
