// Days, ranges of them, and the steps of a chart. Days are those of a time zone, and are reckoned with as dates.

import type { Step } from "./state.ts";

/** From the first to the last day. */
export interface Range {
  since: string;
  until: string;
}

export const PRESETS = ["today", "week", "month", "last-month", "quarter", "year"] as const;
export type Preset = (typeof PRESETS)[number];
export const PRESET_NAMES: Record<Preset, string> = {
  today: "today",
  week: "last 7 days",
  month: "this month",
  "last-month": "last month",
  quarter: "last 90 days",
  year: "this year",
};

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

export function isDay(text: string): boolean {
  return /^[0-9]{4}-[0-9]{2}-[0-9]{2}$/.test(text) && dayAt(noon(text)) === text;
}

/** The day of a moment in a zone. */
export function dayOf(moment: Date, zone: string): string {
  const parts = new Intl.DateTimeFormat("en", {
    timeZone: zone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
  }).formatToParts(moment);
  const part = (type: string): string => parts.find((of) => of.type === type)?.value ?? "";
  return `${part("year").padStart(4, "0")}-${part("month")}-${part("day")}`;
}

export function preset(name: Preset, today: string): Range {
  const [year, month] = [today.slice(0, 4), today.slice(0, 7)];
  switch (name) {
    case "today":
      return { since: today, until: today };
    case "week":
      return { since: plus(today, -6), until: today };
    case "month":
      return { since: `${month}-01`, until: today };
    case "last-month": {
      const last = plus(`${month}-01`, -1);
      return { since: `${last.slice(0, 7)}-01`, until: last };
    }
    case "quarter":
      return { since: plus(today, -89), until: today };
    case "year":
      return { since: `${year}-01-01`, until: today };
  }
}

/** How many days it has. */
export function daysBetween(range: Range): number {
  return Math.round((noon(range.until) - noon(range.since)) / DAY_MS) + 1;
}

/** A step of a chart: when it begins (only for its place), its key in the collector's lines, and what it is called. */
export interface Tick {
  at: number;
  label: string;
}

/** All steps of a range, also those in which nothing was. Hours are those between the first and the last that are known. */
export function ticks(step: Step, range: Range, zone: string, keys: Iterable<string>): Tick[] {
  const all: Tick[] = [];
  switch (step) {
    case "day":
      for (let day = range.since; day <= range.until; day = plus(day, 1)) all.push({ at: place(day), label: day });
      return all;
    case "month":
      for (let month = range.since.slice(0, 7); month <= range.until.slice(0, 7); month = nextMonth(month)) {
        all.push({ at: place(month), label: month });
      }
      return all;
    case "hour": {
      const known = [...keys].map(place).sort((one, other) => one - other);
      const [first, last] = [known[0], known.at(-1)];
      if (first === undefined || last === undefined) return all;
      const form = new Intl.DateTimeFormat("en-GB", {
        timeZone: zone,
        day: "2-digit",
        month: "short",
        hour: "2-digit",
        minute: "2-digit",
      });
      for (let at = first; at <= last; at += HOUR_MS) all.push({ at, label: form.format(at) });
      return all;
    }
  }
}

/** The place in time of a key such as 2026-11, 2026-11-29, 2026-11-29T13:00+01:00. */
export function place(key: string): number {
  switch (key.length) {
    case 7:
      return noon(`${key}-01`);
    case 10:
      return noon(key);
    default:
      return Date.parse(key);
  }
}

function noon(day: string): number {
  return Date.parse(`${day}T12:00:00Z`);
}

function dayAt(noon: number): string {
  return Number.isNaN(noon) ? "" : new Date(noon).toISOString().slice(0, 10);
}

export function plus(day: string, days: number): string {
  return dayAt(noon(day) + days * DAY_MS);
}

function nextMonth(month: string): string {
  return plus(`${month}-28`, 4).slice(0, 7);
}
