// From the collector's lines to what is shown. A line has one evidence; here those of the same group are added up, exactly, and
// what share of them is reported stays beside.

import { amount, type Amount } from "./decimal.ts";
import type { Figures, Line } from "./api.ts";

export const EVIDENCE = ["reported", "partial", "estimated", "missing"] as const;
export type Evidence = (typeof EVIDENCE)[number];

/** What lines add up to. */
export interface Sum {
  charge: Amount;
  cost: Amount;
  /** Tokens. Counts are integers that the collector keeps below what a double holds exactly. */
  input: number;
  output: number;
  /** Of the input what came from a cache. */
  cached: number;
  calls: number;
  evidence: Record<Evidence, number>;
  /** Whether something in it has no price, so that the amounts leave it out. */
  unpriced: boolean;
}

export function nothing(): Sum {
  const evidence = { reported: 0, partial: 0, estimated: 0, missing: 0 };
  return { charge: 0n, cost: 0n, input: 0, output: 0, cached: 0, calls: 0, evidence, unpriced: false };
}

/** The input classes; what is read from a cache is among them. */
const INPUT = /^(input_[a-z]+_tokens|cache_read_([a-z]+_)?tokens|cache_write_[a-z0-9]+_tokens)$/;
const OUTPUT = /^output_[a-z]+_tokens$/;
const CACHED = /^cache_read_([a-z]+_)?tokens$/;
/** Cache hits that are in no total. */
const INFORMATION = "cache_read_unbilled_tokens";

/** What a line of a report has beside its columns. */
type Counted = Figures & { evidence?: string; unpriced?: Record<string, number> };

export function add(sum: Sum, line: Counted): void {
  if (line.charge !== undefined) sum.charge += amount(line.charge);
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
  if (Object.keys(line.unpriced ?? {}).length > 0) sum.unpriced = true;
}

export function total(lines: Iterable<Line>): Sum {
  const sum = nothing();
  for (const line of lines) add(sum, line);
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
export function grouped(lines: Iterable<Line>, columns: readonly string[]): Grouped[] {
  const groups = new Map<string, Grouped>();
  for (const line of lines) {
    const key = line.others === undefined ? columns.map((column) => value(line, column)) : undefined;
    const id = key ? JSON.stringify(key) : "";
    let group = groups.get(id);
    if (!group) groups.set(id, (group = { key, others: line.others ?? 0, sum: nothing() }));
    add(group.sum, line);
  }
  return [...groups.values()];
}

export function value(line: Line, column: string): string {
  const value = line[column];
  return typeof value === "string" ? value : "";
}
