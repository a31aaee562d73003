function render({ model, el }) {
  const pad = document.createElement("div");
  pad.className = "tasn-pad";
  pad.tabIndex = 0;
  pad.dataset.lmSuppressShortcuts = "true";  // or Notebook 7 takes the arrow keys
  pad.setAttribute("role", "slider");
  pad.setAttribute("aria-label", "Position of the attention. Drag, click, or use the arrow keys.");
  pad.style.cssText = "position:relative;display:inline-block;cursor:crosshair;touch-action:none;user-select:none";
  const picture = document.createElement("img");
  picture.alt = "the picture to sample from";
  picture.draggable = false;
  picture.style.cssText = "display:block;width:260px";
  const handle = document.createElement("div");
  handle.style.cssText = "position:absolute;width:22px;height:22px;margin:-13px 0 0 -13px;border-radius:50%;" +
    "border:2px solid white;box-shadow:0 0 0 2px #009E73;pointer-events:none";
  pad.append(picture, handle);
  el.append(pad);
  const place = () => {
    picture.src = model.get("picture");
    handle.style.left = 100 * model.get("x") + "%";
    handle.style.top = 100 * model.get("y") + "%";
    const percent = (name) => Math.round(100 * model.get(name)) + " %";
    pad.setAttribute("aria-valuetext", percent("x") + " from the left, " + percent("y") + " from the top");
  };
  const clip = (value) => Math.min(1, Math.max(0, value));
  const move = (x, y) => {
    model.set("x", clip(x));
    model.set("y", clip(y));
    model.save_changes();
    place();
  };
  const follow = (event) => {
    const box = pad.getBoundingClientRect();
    move((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  };
  pad.addEventListener("pointerdown", (event) => { pad.setPointerCapture(event.pointerId); follow(event); });
  pad.addEventListener("pointermove", (event) => { if (event.buttons) follow(event); });
  pad.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    move(model.get("x") + step[0] / 40, model.get("y") + step[1] / 40);
  });
  ["change:x", "change:y", "change:picture"].forEach((name) => model.on(name, place));
  place();
}
export default { render };
