// Makes elements. Text is always text: nothing here reads HTML.

export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key in element && typeof value !== "string") element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// A table with a caption. Each column is [heading, cell of a row, "number" | "wide" | undefined].
export function table(caption, columns, rows, empty) {
  const cells = (row) =>
    columns.map(([, cell, kind], index) =>
      h(index ? "td" : "th", { scope: index ? null : "row", class: kind === "number" ? "number-cell" : kind }, cell(row) ?? ""));
  const body = rows.length
    ? rows.map((row) => h("tr", {}, cells(row)))
    : [h("tr", {}, h("td", { colspan: String(columns.length), class: "hint" }, empty))];
  const headings = columns.map(([heading, , kind]) => h("th", { scope: "col", class: kind === "number" ? "number-cell" : null }, heading));
  // Scrolled by the keyboard too, so it takes the focus and has a name.
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {}, h("caption", {}, caption), h("thead", {}, h("tr", {}, headings)), h("tbody", {}, body)));
}

export function field(label, control, id) {
  control.id = id;
  return h("div", { class: "field" }, h("label", { for: id }, label), control);
}

export function facts(pairs) {
  return h("dl", { class: "facts" }, pairs.filter(([, value]) => value !== null && value !== undefined && value !== "")
    .flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

export const json = (value) => h("pre", { tabindex: "0" }, JSON.stringify(value, null, 2));

// Replaces what a container shows. The focus stays on the element with the same id, if there is one.
export function show(container, ...children) {
  const focused = container.contains(document.activeElement) ? document.activeElement.id : "";
  container.replaceChildren(...children.flat().filter(Boolean));
  if (focused) document.getElementById(focused)?.focus();
}
