// Stacked bars. What they show stands in a table beside them, so they are a picture for whoever sees it.

import uPlot from "uplot";
import { adjustments } from "./amounts.ts";
import { fill, h } from "./dom.ts";
import { nothing, type Sum } from "./lines.ts";
import type { Stack } from "./questions.ts";

const HEIGHT = 260;

export interface Shown {
  stack: Stack;
  /** The names of the series. */
  names: string[];
  /** The height of a value; exact values are in the readout. */
  pixels(of: Sum): number;
  /** A value in full. */
  text(of: Sum): string;
  /** Whether there is anything to say of a value. */
  says(of: Sum): boolean;
  /** Whether something has no height because what it costs is not known. */
  unpriced: boolean;
  /** What the picture is of. */
  label: string;
}

export class Chart {
  readonly element = h("figure", { class: "chart" });
  private readonly place = h("div");
  private readonly legend = h("ul", { class: "legend" });
  private readonly readout = h("figcaption", { class: "quiet" });
  private plot: uPlot | undefined;
  private shown: Shown | undefined;

  constructor() {
    fill(this.element, this.place, this.legend, this.readout);
    new ResizeObserver(() => this.plot?.setSize({ width: this.place.clientWidth, height: HEIGHT })).observe(this.place);
    // A canvas does not know of style sheets.
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.shown && this.show(this.shown));
  }

  show(shown: Shown): void {
    this.shown = shown;
    this.plot?.destroy();
    this.plot = undefined;
    this.place.setAttribute("role", "img");
    this.place.setAttribute("aria-label", shown.label);
    fill(
      this.legend,
      ...shown.names.map((name, index) =>
        h("li", {}, h("span", { class: `swatch c${this.colour(index)}` }), h("bdi", {}, name)),
      ),
    );
    this.read(undefined);
    const { ticks, series } = shown.stack;
    if (ticks.length === 0) return;
    // The last series stands on top of all others: its bar is drawn first, and reaches from the ground.
    const heights = series.map((of) => of.values.map((value) => shown.pixels(value)));
    for (let index = 1; index < heights.length; index++) {
      const below = heights[index - 1] ?? [];
      heights[index] = (heights[index] ?? []).map((value, at) => value + (below[at] ?? 0));
    }
    const style = getComputedStyle(this.element);
    const ink = style.getPropertyValue("--quiet").trim();
    const grid = { stroke: style.getPropertyValue("--line").trim(), width: 1 };
    const bars = uPlot.paths.bars?.({ size: [0.8, 48], gap: 0 });
    const axis = { stroke: ink, grid, ticks: grid, font: "12px system-ui, sans-serif" };
    const options: uPlot.Options = {
      width: this.place.clientWidth || 320,
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
      scales: {
        x: { time: false, range: [-0.5, ticks.length - 0.5] },
        y: { range: (_, low, high) => [Math.min(0, low), high > 0 ? high * 1.05 : 1] },
      },
      axes: [
        {
          ...axis,
          grid: { show: false },
          space: 70,
          incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500],
          values: (_, at) => at.map((index) => ticks[index]?.label ?? ""),
        },
        { ...axis, size: 64 },
      ],
      series: [
        {},
        ...series
          .map((_, index) => {
            const fill = style.getPropertyValue(`--c${this.colour(index)}`).trim();
            return { fill, stroke: fill, width: 0, ...(bars && { paths: bars }), points: { show: false } };
          })
          .reverse(),
      ],
      hooks: { setCursor: [(plot) => this.read(plot.cursor.idx ?? undefined)] },
    };
    this.plot = new uPlot(options, [ticks.map((_, index) => index), ...heights.reverse()], this.place);
  }

  clear(): void {
    this.plot?.destroy();
    this.plot = undefined;
    this.shown = undefined;
    this.place.removeAttribute("role");
    this.place.removeAttribute("aria-label");
    fill(this.legend);
    fill(this.readout);
  }

  private colour(index: number): string {
    return this.shown?.stack.series[index]?.key ? String(index) : "-others";
  }

  /** Says what stands under the pointer. */
  private read(index: number | undefined): void {
    const tick = index === undefined ? undefined : this.shown?.stack.ticks[index];
    if (!this.shown || !tick || index === undefined) {
      const unpriced = this.shown?.unpriced && " What is unpriced has no height: what it costs is not known.";
      fill(this.readout, "Point at a bar to see its values. The table below has all of them.", unpriced);
      return;
    }
    const { stack, names, text, says } = this.shown;
    const value = (of: Sum | undefined): Sum => of ?? nothing();
    const children = stack.series
      .map((series, of) => ({ name: names[of] ?? "", value: value(series.values[index]) }))
      .filter((part) => says(part.value))
      .flatMap((part) => ["; ", h("bdi", {}, part.name), ` ${text(part.value)}`]);
    const adjusting = adjustments(value(stack.totals[index]), text);
    if (adjusting.length > 0) children.push("; of it ", ...adjusting);
    fill(this.readout, `${tick.label}: `, ...(children.length > 0 ? children.slice(1) : ["nothing"]));
  }
}
