"use strict";
(() => {
  const table = document.getElementById("sequences");
  const body = table.tBodies[0];
  const reset = document.getElementById("reset");
  const chosenName = document.getElementById("chosen");
  const noCrops = document.getElementById("no-crops");
  let chosen = null;

  // Elements of class "one" show one sequence or all together; the others are lists.
  function isVisible(element) {
    if (element.classList.contains("one")) {
      return element.dataset.sequence === (chosen === null ? "all" : chosen);
    }
    return chosen === null || element.dataset.sequence === chosen;
  }

  function choose(sequence) {
    chosen = sequence;
    document.body.classList.toggle("filtered", chosen !== null);
    for (const element of document.querySelectorAll("[data-sequence]")) {
      element.classList.toggle("off", !isVisible(element));
    }
    let name = "all sequences";
    for (const row of body.rows) {
      const isChosen = row.dataset.row === chosen;
      row.classList.toggle("chosen", isChosen);
      const button = row.querySelector("button");
      button.setAttribute("aria-pressed", String(isChosen));
      if (isChosen) name = "only " + button.textContent;
    }
    chosenName.textContent = name;
    reset.hidden = chosen === null;
    if (noCrops) noCrops.hidden = document.querySelector(".crop:not(.off)") !== null;
  }

  // Undefined values stay at the end in either direction.
  function sortBy(column, direction) {
    const value = (row) => {
      const cell = row.cells[column];
      if (cell.dataset.value === undefined) return cell.textContent;
      return cell.dataset.value === "" ? NaN : Number(cell.dataset.value);
    };
    const compare = (one, other) => {
      if (typeof one === "string") {
        return direction * one.localeCompare(other, undefined, { numeric: true });
      }
      if (Number.isNaN(one) || Number.isNaN(other)) return Number.isNaN(one) - Number.isNaN(other);
      return direction * (one - other);
    };
    body.append(...[...body.rows].sort((a, b) => compare(value(a), value(b))));
  }

  body.addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    choose(row.dataset.row === chosen ? null : row.dataset.row);
  });
  reset.addEventListener("click", () => choose(null));
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const direction = head.ariaSort === "ascending" ? -1 : 1;
      for (const other of table.tHead.rows[0].cells) other.ariaSort = "none";
      head.ariaSort = direction === 1 ? "ascending" : "descending";
      sortBy(column, direction);
    });
  });
})();
