"use strict";
// Everything is on the page already; this only sorts rows and hides those that do not match.

const value = (row, place) => {
  const cell = row.cells[place];
  return cell.dataset.value ?? cell.textContent.trim();
};

const compare = (a, b) => {
  const numbers = [Number(a), Number(b)];
  if (a !== "" && b !== "" && numbers.every(Number.isFinite)) return numbers[0] - numbers[1];
  if (a === "" || b === "") return a === b ? 0 : a === "" ? 1 : -1;
  return a.localeCompare(b, "en", { numeric: true });
};

const sort = (table, place) => {
  const heads = [...table.tHead.rows[0].cells];
  const descending = heads[place].getAttribute("aria-sort") === "ascending";
  heads.forEach((head) => head.removeAttribute("aria-sort"));
  heads[place].setAttribute("aria-sort", descending ? "descending" : "ascending");
  const rows = [...table.tBodies[0].rows];
  rows.sort((a, b) => compare(value(a, place), value(b, place)) * (descending ? -1 : 1));
  table.tBodies[0].append(...rows);
};

const makeSortable = (table) => {
  [...table.tHead.rows[0].cells].forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(table, place));
    head.append(button);
  });
};

const labelled = (text, control) => {
  const label = document.createElement("label");
  label.append(`${text} `, control);
  return label;
};

// What a row is filtered by: its own data, or the verdicts that stand in it.
const facts = (row, by) => {
  if (row.dataset[by] !== undefined) return by === "tag" ? row.dataset[by].split(" ") : [row.dataset[by]];
  return [...row.querySelectorAll("[data-outcome]")].map((badge) => badge.dataset.outcome);
};

const choice = (rows, by) => {
  const select = document.createElement("select");
  const names = [...new Set(rows.flatMap((row) => facts(row, by)))].filter(Boolean).sort();
  select.name = by;
  select.append(new Option("all", ""), ...names.map((name) => new Option(name, name)));
  return select;
};

const makeFilter = (table) => {
  const rows = [...table.tBodies[0].rows];
  const tools = document.createElement("div");
  const search = document.createElement("input");
  const shown = document.createElement("span");
  const wanted = (table.dataset.by ?? "verdict").split(" ");
  const selects = wanted.map((by) => choice(rows, by)).filter((select) => select.length > 2);
  search.type = "search";
  search.name = "search";
  shown.setAttribute("role", "status");
  const apply = () => {
    const text = search.value.trim().toLowerCase();
    for (const row of rows) {
      const has = row.textContent.toLowerCase().includes(text);
      const is = selects.every(({ name, value }) => !value || facts(row, name).includes(value));
      row.hidden = !(has && is);
    }
    shown.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
  };
  for (const control of [search, ...selects]) control.addEventListener("input", apply);
  tools.className = "tools";
  tools.append(labelled(table.dataset.filter ?? "Filter rows", search));
  const titled = (name) => name[0].toUpperCase() + name.slice(1);
  tools.append(...selects.map((select) => labelled(titled(select.name), select)), shown);
  table.parentElement.before(tools);
  if (table.dataset.by) rememberInHash([search, ...selects], apply);
};

// A link such as index.html#verdict=refuted&tag=cntk opens with those filters; using them writes it.
const rememberInHash = (controls, apply) => {
  const read = () => {
    if (!location.hash.includes("=")) return;
    const asked = new URLSearchParams(location.hash.slice(1));
    for (const control of controls) control.value = asked.get(control.name) ?? "";
    apply();
  };
  const write = () => {
    const used = controls.filter((control) => control.value);
    const hash = new URLSearchParams(used.map((control) => [control.name, control.value]));
    history.replaceState(null, "", `#${hash}`);
  };
  for (const control of controls) control.addEventListener("input", write);
  window.addEventListener("hashchange", read);
  read();
};

for (const table of document.querySelectorAll("table.data, table.overview")) {
  const rows = table.tBodies[0].rows.length;
  if (rows > 1) makeSortable(table);
  if (rows > 12 || (table.dataset.filter && rows > 1)) makeFilter(table);
}
