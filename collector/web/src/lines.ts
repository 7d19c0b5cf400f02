// From the collector's lines to what is shown. A line has one evidence; here those of the same group are added up, exactly, and
// what share of them is reported stays beside.

import { amount, type Amount } from "./decimal.ts";
import type { Figures, Line, Report } from "./api.ts";

export const EVIDENCE = ["reported", "partial", "estimated", "missing"] as const;
export type Evidence = (typeof EVIDENCE)[number];

/** What lines add up to. */
export interface Sum {
  /** Of what has a price. */
  charge: Amount;
  cost: Amount;
  /** Whether anything in it has a price: without one the amounts are not 0, but unknown. */
  priced: boolean;
  /** Tokens. Counts are integers that the collector keeps below what a double holds exactly. */
  input: number;
  output: number;
  /** Of the input what came from a cache. */
  cached: number;
  calls: number;
  evidence: Record<Evidence, number>;
  /** Counts without a price, by class: the amounts leave them out. What was taken back is negative. */
  unpriced: Map<string, number>;
  /** What of it adjusts months that were closed before, by month. */
  adjusts: Map<string, Sum>;
}

export function nothing(): Sum {
  const evidence = { reported: 0, partial: 0, estimated: 0, missing: 0 };
  const [unpriced, adjusts] = [new Map<string, number>(), new Map<string, Sum>()];
  return { charge: 0n, cost: 0n, priced: false, input: 0, output: 0, cached: 0, calls: 0, evidence, unpriced, adjusts };
}

/** The input classes; what is read from a cache is among them. */
const INPUT = /^(input_[a-z]+_tokens|cache_read_([a-z]+_)?tokens|cache_write_[a-z0-9]+_tokens)$/;
const OUTPUT = /^output_[a-z]+_tokens$/;
const CACHED = /^cache_read_([a-z]+_)?tokens$/;
/** Cache hits that are in no total. */
const INFORMATION = "cache_read_unbilled_tokens";

/** What a line of a report has beside its columns. */
type Counted = Figures & { evidence?: string; adjusts?: string; unpriced?: Record<string, number> };

/** Adds a line of a report that begins in a month, if it begins at all. */
export function add(sum: Sum, line: Counted, begins = ""): void {
  if (line.charge !== undefined) {
    sum.charge += amount(line.charge);
    sum.priced = true;
  }
  if (line.cost !== undefined) sum.cost += amount(line.cost);
  for (const [name, count] of Object.entries(line.usage ?? {})) {
    if (name === INFORMATION) continue;
    if (INPUT.test(name)) sum.input += count;
    if (OUTPUT.test(name)) sum.output += count;
    if (CACHED.test(name)) sum.cached += count;
  }
  sum.calls += line.calls;
  const evidence = EVIDENCE.find((known) => known === line.evidence);
  if (evidence) sum.evidence[evidence] += line.calls;
  for (const [name, count] of Object.entries(line.unpriced ?? {})) {
    // A price that came for a month before this report takes back nothing of what is in it.
    if (count < 0 && line.adjusts !== undefined && line.adjusts < begins) continue;
    sum.unpriced.set(name, (sum.unpriced.get(name) ?? 0) + count);
  }
  if (line.adjusts === undefined) return;
  const adjusts = sum.adjusts.get(line.adjusts) ?? nothing();
  const { adjusts: _, ...own } = line;
  add(adjusts, own);
  sum.adjusts.set(line.adjusts, adjusts);
}

/** What is left of a sum without a part of it. */
export function without(whole: Sum, part: Sum): Sum {
  const rest = nothing();
  for (const name of ["charge", "cost"] as const) rest[name] = whole[name] - part[name];
  for (const name of ["input", "output", "cached", "calls"] as const) rest[name] = whole[name] - part[name];
  for (const name of EVIDENCE) rest.evidence[name] = whole.evidence[name] - part.evidence[name];
  for (const name of new Set([...whole.unpriced.keys(), ...part.unpriced.keys()]))
    rest.unpriced.set(name, (whole.unpriced.get(name) ?? 0) - (part.unpriced.get(name) ?? 0));
  for (const [month, sum] of whole.adjusts) rest.adjusts.set(month, without(sum, part.adjusts.get(month) ?? nothing()));
  const counted = rest.input + rest.output !== 0;
  rest.priced = rest.charge !== 0n || (whole.priced && counted && !lacks(rest));
  return rest;
}

/** Whether something in it has no price. */
export function lacks(sum: Sum): boolean {
  return [...sum.unpriced.values()].some((count) => count > 0);
}

/** Months that it adjusts, in their order. */
export function adjusted(sum: Sum): [string, Sum][] {
  return [...sum.adjusts].sort(([one], [other]) => (one < other ? -1 : 1));
}

/** Lines of a report, and from when on it is. */
export type Lines = Pick<Report, "since" | "lines">;

function begins(report: Lines): string {
  return report.since?.slice(0, 7) ?? "";
}

export function total(report: Lines): Sum {
  const sum = nothing();
  for (const line of report.lines) add(sum, line, begins(report));
  return sum;
}

/** What all lines were in the period before. */
export function before(lines: Iterable<Line>): Sum {
  const sum = nothing();
  for (const line of lines) if (line.before) add(sum, line.before);
  return sum;
}

/** Lines that belong together. */
export interface Grouped {
  /** The values of the columns, one each; empty is unknown. `undefined`: the others, of which there are so many. */
  key: string[] | undefined;
  others: number;
  sum: Sum;
}

/** Adds up lines of the same columns, in the order in which they come. */
export function grouped(report: Lines, columns: readonly string[]): Grouped[] {
  const groups = new Map<string, Grouped>();
  for (const line of report.lines) {
    const key = line.others === undefined ? columns.map((column) => value(line, column)) : undefined;
    const id = key ? JSON.stringify(key) : "";
    let group = groups.get(id);
    if (!group) groups.set(id, (group = { key, others: line.others ?? 0, sum: nothing() }));
    add(group.sum, line, begins(report));
  }
  return [...groups.values()];
}

export function value(line: Line, column: string): string {
  const value = line[column];
  return typeof value === "string" ? value : "";
}
