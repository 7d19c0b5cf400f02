// Exact amounts. The collector sends decimal texts; they are added up as integers and never become floating-point numbers,
// but for the heights of bars.

/** The decimals of the collector's amounts: yocto-USD. */
const SCALE = 24;
const FORM = /^(-?)([0-9]+)(?:\.([0-9]{1,24}))?$/;

/** An amount in units of 10^-24. */
export type Amount = bigint;

export function amount(text: string): Amount {
  const parts = FORM.exec(text);
  if (!parts) throw new Error(`not an amount: ${text}`);
  const whole = BigInt((parts[2] ?? "") + (parts[3] ?? "").padEnd(SCALE, "0"));
  return parts[1] ? -whole : whole;
}

/** The amount in full, without zeros at the end, as the collector writes it. */
export function exact(of: Amount): string {
  const [sign, whole, decimals] = split(of);
  return `${sign}${whole}${decimals && `.${decimals}`}`;
}

/** Sign, digits before the point, and digits behind it without zeros at the end. */
export function split(of: Amount): [string, string, string] {
  const digits = (of < 0n ? -of : of).toString().padStart(SCALE + 1, "0");
  const end = digits.length - SCALE;
  return [of < 0n ? "-" : "", digits.slice(0, end), digits.slice(end).replace(/0+$/, "")];
}

/** For the height of a bar only. */
export function forPixels(of: Amount): number {
  return Number(of / 10n ** 15n) / 1e9;
}

/** How much more it is than before, in percent with one decimal, cut off; `undefined` if there was nothing. */
export function percent(now: bigint, before: bigint): string | undefined {
  if (before <= 0n) return undefined;
  return tenths(((now - before) * 1000n) / before);
}

/** A share of a whole, in percent with one decimal, cut off; `undefined` of nothing. */
export function share(part: bigint, whole: bigint): string | undefined {
  return whole <= 0n ? undefined : tenths((part * 1000n) / whole);
}

function tenths(of: bigint): string {
  const size = of < 0n ? -of : of;
  return `${of < 0n ? "-" : ""}${size / 10n}.${size % 10n}`;
}
