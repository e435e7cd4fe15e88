// Charts over time with uPlot, in the colours of the theme, each with its newest values as text for screen readers.
/* global uPlot */

import { h } from "./dom.js";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Draws into `figure`; returns a function that takes new data: [times, values, …].
export function chart(label, names, format) {
  const box = h("div", { class: "chart", role: "img", "aria-label": label });
  const figure = h("figure", {}, box, names.length > 1
    ? h("figcaption", { class: "legend" }, names.map((name, index) => h("span", { class: index ? "two" : "one" }, name)))
    : null);
  let plot = null;
  const options = () => ({
    width: Math.max(200, box.clientWidth),
    height: 190,
    cursor: { drag: { x: false, y: false } },
    legend: { show: false },
    scales: { y: { range: (_, low, high) => [0, high > 0 ? high * 1.1 : 1] } },
    series: [{}, ...names.map((name, index) => ({ label: name, stroke: colour(index ? "--two" : "--one"), width: 2, points: { show: false }, spanGaps: false }))],
    axes: [
      { stroke: colour("--soft"), grid: { stroke: colour("--grid"), width: 1 } },
      { stroke: colour("--soft"), grid: { stroke: colour("--grid"), width: 1 }, size: 64, values: (_, ticks) => ticks.map((tick) => format(tick)) },
    ],
  });
  const draw = (data) => {
    if (!box.isConnected) return;
    if (plot === null) plot = new uPlot(options(), data, box);
    else plot.setData(data);
    const newest = data.slice(1).map((values, index) => `${names[index]}: ${format(values.at(-1))}`);
    box.setAttribute("aria-label", `${label}. ${newest.join(", ")}`);
  };
  const resize = () => plot?.setSize({ width: Math.max(200, box.clientWidth), height: 190 });
  new ResizeObserver(resize).observe(box);
  document.addEventListener("freshet-theme", () => {
    if (plot === null) return;
    const data = plot.data;
    plot.destroy();
    plot = null;
    draw(data);
  });
  return { figure, draw };
}
