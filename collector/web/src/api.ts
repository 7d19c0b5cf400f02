// What is asked of the collector, and what comes back.

export interface Figures {
  calls: number;
  usage?: Record<string, number>;
  charge?: string;
  cost?: string;
}

/** A line of a report; its columns are fields beside these. */
export interface Line extends Figures {
  evidence: string;
  adjusts?: string;
  others?: number;
  unpriced?: Record<string, number>;
  before?: Figures;
  [column: string]: unknown;
}

export interface Report {
  since?: string;
  until?: string;
  time_zone: string;
  before?: { since?: string; until?: string };
  limited_to?: string[];
  position?: { heads: { writer: number; entry: number; hash: string }[]; exact: boolean };
  by: string[];
  lines: Line[];
  totals: Line[];
  notes: {
    unpriced?: { provider: string; model: string; calls: number; tokens: number; units?: Record<string, number> }[];
    deferred?: Record<string, number>;
    unknown_usage?: Record<string, number>;
  };
}

export interface Percentiles {
  calls: number;
  p50: number;
  p90: number;
  p99: number;
}

/** How long calls took, microseconds; what is known of no call is absent. Its columns are fields beside these. */
export interface LatencyLine {
  calls: number;
  duration_us?: Percentiles;
  time_to_first_token_us?: Percentiles;
  time_per_output_token_us?: Percentiles;
  [column: string]: unknown;
}

export interface Latency {
  lines: LatencyLine[];
  total: LatencyLine;
  incomplete: number;
}

export interface Budget {
  name: string;
  tenant?: string;
  provider?: string;
  model?: string;
  per_tenant: boolean;
  mode: string;
  window: string;
  zone: string;
  until: number;
  unit: string;
  limit: string;
  spent: string;
  spent_by?: string;
  leased: string;
  left: string;
  tenants: number;
  exhausted: number;
}

export interface Gaps {
  missing: number;
  open_ends: number;
  alarms: number;
  dead_letters: number;
  emitters: { emitter: string; node?: string; state: string; heard: string; missing: number }[];
}

export interface Session {
  /** Whether one logs in at all. */
  login: boolean;
  name?: string;
  tenants?: string[];
}

export class Refused extends Error {
  constructor(
    readonly status: number,
    problem: string,
  ) {
    super(problem);
  }
}

export type Parameters = [string, string][];

/** The address of a question, for a link or a request. */
export function address(path: string, parameters: Parameters = []): string {
  const query = new URLSearchParams(parameters).toString();
  return query ? `${path}?${query}` : path;
}

export async function get<T>(at: string, signal?: AbortSignal): Promise<T> {
  const response = await fetch(at, { headers: { accept: "application/json" }, signal: signal ?? null });
  return (await read(response)) as T;
}

export async function post(at: string, body: unknown): Promise<void> {
  await read(
    await fetch(at, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  );
}

async function read(response: Response): Promise<unknown> {
  const text = await response.text();
  if (response.ok) return text ? JSON.parse(text) : undefined;
  let problem = `the collector responded with ${response.status}`;
  try {
    const said: unknown = JSON.parse(text);
    if (said && typeof said === "object" && "error" in said && typeof said.error === "string") problem = said.error;
  } catch {
    // Not from the collector: something between.
  }
  throw new Refused(response.status, problem);
}
