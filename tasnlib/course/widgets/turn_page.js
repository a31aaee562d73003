function turnPage(range) {
  const box = range.closest("fieldset");
  box.querySelectorAll(".frame").forEach((frame, n) => { frame.hidden = n != range.value });
  box.querySelector("output").textContent = JSON.parse(box.dataset.values)[range.value];
}
