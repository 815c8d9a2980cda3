// Sliders, sorting and filtering of a gallery. Without scripts every picture shows half and half.
"use strict";
for (const gallery of document.querySelectorAll(".gallery")) {
  const tools = gallery.querySelector(".tools").elements;
  const list = gallery.querySelector(".photos");
  const photos = [...list.children];
  const move = (range) => range.parentElement.style.setProperty("--at", `${range.value}%`);

  function choose() {
    for (const image of gallery.querySelectorAll(".slider img")) {
      image.classList.toggle("left", image.dataset.result === tools.left.value);
      image.classList.toggle("right", image.dataset.result === tools.right.value);
    }
  }

  function arrange() {
    const { key, direction } = tools.sort.selectedOptions[0].dataset;
    const category = tools.category.value;
    const value = (photo) => JSON.parse(photo.dataset.values)[key];
    const byName = (a, b) => a.dataset.name.localeCompare(b.dataset.name);
    const sorted = [...photos].sort((a, b) =>
      (key ? (value(a) - value(b)) * Number(direction) : 0) || byName(a, b));
    list.append(...sorted);
    let shown = 0;
    for (const photo of photos) {
      photo.hidden = category !== "" && photo.dataset.category !== category;
      shown += !photo.hidden;
    }
    tools.shown.value = shown === 1 ? "1 photo" : `${shown} photos`;
  }

  list.addEventListener("input", (event) => move(event.target));
  tools.all.addEventListener("input", () => {
    for (const range of list.querySelectorAll("input")) {
      range.value = tools.all.value;
      move(range);
    }
  });
  for (const select of [tools.left, tools.right]) select.addEventListener("change", choose);
  for (const select of [tools.sort, tools.category]) select.addEventListener("change", arrange);
  choose();
  arrange();
}
