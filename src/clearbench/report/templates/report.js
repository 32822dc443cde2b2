(() => {
  "use strict";
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  const tabs = document.querySelector(".tabs");
  const choose = (key) => {
    for (const tab of all("[data-tab]")) {
      const chosen = tab.dataset.tab === key;
      tab.setAttribute("aria-pressed", String(chosen));
      if (chosen) tab.parentNode.scrollLeft = tab.offsetLeft - 24;
    }
    for (const part of all("[data-group]")) part.hidden = key !== "all" && part.dataset.group !== key;
  };
  tabs.hidden = false;
  tabs.addEventListener("click", (event) => {
    const tab = event.target.closest("[data-tab]");
    if (tab) choose(tab.dataset.tab);
  });
  choose(tabs.dataset.first || "all");

  const picker = document.querySelector(".picker");
  if (picker) {
    const menu = picker.querySelector("select");
    const show = () => all("[data-question]").forEach((card) => (card.hidden = card.dataset.question !== menu.value));
    picker.hidden = false;
    menu.addEventListener("change", show);
    show();
  }

  const valueOf = (row, place) => {
    const cell = row.cells[place];
    const value = cell.dataset.value;
    return value === undefined ? cell.textContent.trim() : value === "" ? Infinity : Number(value);
  };
  for (const head of all("table.sortable th")) {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of all("th", head.parentNode)) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const body = head.closest("table").querySelector("tbody.methods");
      const place = head.cellIndex;
      const order = (a, b) => {
        const [x, y] = [valueOf(a, place), valueOf(b, place)];
        return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1);
      };
      body.append(...[...body.rows].sort(order));
    });
  }
})();
