// What the page must show, from what `meshmeter report --format json` prints: reckoned here by other means than the page's.

import type { Collector } from "./harness.ts";

export interface Line {
  [name: string]: unknown;
  evidence: string;
  calls: number;
  charge?: string;
  cost?: string;
  usage?: Record<string, number>;
  unpriced?: Record<string, number>;
  others?: number;
}

export interface Printed {
  lines: Line[];
  totals: Line[];
  notes: { unpriced?: { model: string; calls: number }[] };
}

export function report(collector: Collector, ...args: string[]): Printed {
  return JSON.parse(collector.command("report", "--format", "json", ...args)) as Printed;
}

/** Adds decimal texts, digit by digit in units of the longest. */
export function plus(texts: (string | undefined)[]): string {
  const given = texts.filter((text) => text !== undefined);
  const scale = Math.max(0, ...given.map((text) => text.split(".")[1]?.length ?? 0));
  const units = given.map((text) => {
    const [whole, decimals = ""] = text.split(".");
    return BigInt(`${whole}${decimals.padEnd(scale, "0")}`);
  });
  const sum = units.reduce((sum, unit) => sum + unit, 0n);
  const digits = (sum < 0n ? -sum : sum).toString().padStart(scale + 1, "0");
  const text = scale > 0 ? `${digits.slice(0, -scale)}.${digits.slice(-scale)}`.replace(/\.?0+$/, "") : digits;
  return `${sum < 0n ? "-" : ""}${text}`;
}

/** A shown amount as the collector writes it: `$1,234.50` is 1234.5. */
export function plain(shown: string): string {
  const text = shown.replaceAll(/[$,\s]/g, "");
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** An amount as it is to be shown beside one without a price, with the amount as in `plain`. */
export function owed(lines: Line[], of: "charge" | "cost" = "charge"): string {
  const amounts = lines.map((line) => line[of]).filter((amount) => amount !== undefined);
  const unpriced = lines.some((line) => Object.values(line.unpriced ?? {}).some((count) => count > 0));
  if (amounts.length > 0) return plus(amounts) + (unpriced ? " + unpriced" : "");
  return unpriced ? "unpriced" : lines.every((line) => line.calls === 0) ? "0" : "–";
}

/** What is shown of an amount, in the form of `owed`. */
export function shownOwed(shown: string): string {
  const [amount = "", ...more] = shown.split(" + ");
  return [/[0-9]/.test(amount) ? plain(amount) : amount, ...more].join(" + ");
}

/** A shown count. */
export function whole(shown: string): number {
  return Number(shown.replaceAll(",", ""));
}

export function sum(lines: Line[]): {
  charge: string;
  cost: string;
  input: number;
  output: number;
  calls: number;
  reported: number;
} {
  const usage = (form: RegExp): number =>
    lines.reduce(
      (all, line) =>
        all + Object.entries(line.usage ?? {}).reduce((of, [name, count]) => (form.test(name) ? of + count : of), 0),
      0,
    );
  return {
    charge: plus(lines.map((line) => line.charge)),
    cost: plus(lines.map((line) => line.cost)),
    input: usage(/^(input|cache_read|cache_write)_.*tokens$/),
    output: usage(/^output_.*tokens$/),
    calls: lines.reduce((all, line) => all + line.calls, 0),
    reported: lines.filter((line) => line.evidence === "reported").reduce((all, line) => all + line.calls, 0),
  };
}

/** Lines by the value of a column. */
export function by(lines: Line[], column: string): Map<string, Line[]> {
  const all = new Map<string, Line[]>();
  for (const line of lines) {
    const value = line.others === undefined ? String(line[column] ?? "") : "others";
    all.set(value, [...(all.get(value) ?? []), line]);
  }
  return all;
}
