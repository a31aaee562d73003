function render({ model, el }) {
  const [count, columns, tile, gap] = model.get("shape");
  const labels = model.get("labels");
  const step = tile + gap, rows = Math.ceil(count / columns);
  const width = Math.min(columns, count) * step - gap, height = rows * step - gap;
  const list = document.createElement("div");
  const name = "tasn-wall-" + Math.random().toString(36).slice(2);
  list.className = "tasn-wall";
  list.tabIndex = 0;
  list.dataset.lmSuppressShortcuts = "true";  // or Notebook 7 takes the arrow keys
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Attention maps of the channels. Click one, or use the arrow keys.");
  list.style.cssText = "position:relative;display:inline-block;max-width:100%;width:" + width + "px";
  const picture = document.createElement("img");
  picture.alt = "attention maps of " + count + " channels over the image";
  picture.draggable = false;
  picture.style.cssText = "display:block;width:100%";
  list.append(picture);
  const tiles = labels.map((label, n) => {
    const one = document.createElement("div");
    one.className = "tasn-tile";
    one.id = name + "-" + n;
    one.setAttribute("role", "option");
    one.setAttribute("aria-label", "channel " + label);
    one.textContent = label;
    one.style.cssText = "position:absolute;box-sizing:border-box;cursor:pointer;padding:1px 4px;color:white;" +
      "font:bold 11px sans-serif;text-shadow:0 0 3px black;left:" + 100 * (n % columns) * step / width +
      "%;top:" + 100 * Math.floor(n / columns) * step / height + "%;width:" + 100 * tile / width + "%;height:" +
      100 * tile / height + "%";
    one.addEventListener("click", () => choose(n));
    list.append(one);
    return one;
  });
  el.append(list);
  const mark = () => {
    const chosen = model.get("chosen");
    picture.src = model.get("picture");
    list.setAttribute("aria-activedescendant", name + "-" + chosen);
    tiles.forEach((one, n) => {
      one.setAttribute("aria-selected", n === chosen);
      one.style.boxShadow = n === chosen ? "0 0 0 3px #D55E00" : "none";
    });
  };
  const choose = (n) => {
    model.set("chosen", Math.min(count - 1, Math.max(0, n)));
    model.save_changes();
    mark();
  };
  list.addEventListener("keydown", (event) => {
    const chosen = model.get("chosen");
    const goal = { ArrowLeft: chosen - 1, ArrowRight: chosen + 1, ArrowUp: chosen - columns,
      ArrowDown: chosen + columns, Home: 0, End: count - 1 }[event.key];
    if (goal === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    if (goal >= 0 && goal < count) choose(goal);
  });
  ["change:chosen", "change:picture"].forEach((what) => model.on(what, mark));
  mark();
}
export default { render };
