"use strict";
// Buttons that copy a sentence. Without script the page lacks nothing but them.
for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const from = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(from.textContent);
      button.textContent = button.dataset.done;
    } catch {
      // Not allowed to write to the clipboard: select it, so that one key copies it.
      getSelection().selectAllChildren(from);
    }
  });
}
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
