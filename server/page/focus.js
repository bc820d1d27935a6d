// ---- focus: who moves by keyboard stays in place while it is drawn anew ----

// Returns what is to be called afterwards: if the node with the focus is gone, the one that took
// its place gets it, or the message box. A mouse needs none of this.
function holdFocus() {
  const node = document.activeElement;
  if (!node.matches(":focus-visible")) return () => {};
  const { chat, id } = node.closest("[data-chat], [data-id]")?.dataset ?? {};
  const place = chat ? `[data-chat="${chat}"]` : `[data-id="${id}"]`;
  const action = node.dataset.action ? `[data-action="${node.dataset.action}"]` : "";
  const alike = (root) => [...(root?.querySelectorAll(node.tagName + action) ?? [])];
  const index = alike(node.closest(place)).indexOf(node);
  return () => {
    if (node.isConnected) return;
    const heir = alike(document.querySelector(place))[index] ?? byId("input");
    heir.focus({ preventScroll: true });
  };
}

function keepFocus(draw) {
  const giveFocus = holdFocus();
  draw();
  giveFocus();
}
