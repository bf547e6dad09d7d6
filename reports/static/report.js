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

const outcomes = (rows) => {
  const found = rows.flatMap((row) => [...row.querySelectorAll("[data-outcome]")]);
  return [...new Set(found.map((badge) => badge.dataset.outcome))];
};

const verdicts = (rows) => {
  const select = document.createElement("select");
  select.append(...["all", ...outcomes(rows)].map((name) => new Option(name, name)));
  return select;
};

const makeFilter = (table) => {
  const rows = [...table.tBodies[0].rows];
  const tools = document.createElement("div");
  const search = document.createElement("input");
  const select = verdicts(rows);
  const shown = document.createElement("span");
  search.type = "search";
  shown.setAttribute("role", "status");
  const apply = () => {
    const wanted = search.value.trim().toLowerCase();
    for (const row of rows) {
      const has = row.textContent.toLowerCase().includes(wanted);
      const is = select.value === "all" || outcomes([row]).includes(select.value);
      row.hidden = !(has && is);
    }
    shown.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
  };
  search.addEventListener("input", apply);
  select.addEventListener("change", apply);
  tools.className = "tools";
  tools.append(labelled(table.dataset.filter ?? "Filter rows", search));
  if (select.options.length > 2) tools.append(labelled("Verdict", select));
  tools.append(shown);
  table.parentElement.before(tools);
};

for (const table of document.querySelectorAll("table.data, table.overview")) {
  const rows = table.tBodies[0].rows.length;
  if (rows > 1) makeSortable(table);
  if (rows > 12 || (table.dataset.filter && rows > 1)) makeFilter(table);
}
