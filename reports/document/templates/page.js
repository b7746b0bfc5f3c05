// What a page of folded studies needs: a link into one opens it, and print shows all.
"use strict";
(() => {
  const open = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const folded = target && target.closest("details.study");
    if (folded && !folded.open) {
      folded.open = true;
      target.scrollIntoView();
    }
  };
  addEventListener("hashchange", open);
  addEventListener("beforeprint", () => {
    for (const folded of document.querySelectorAll("details.study")) folded.open = true;
  });
  // On a narrow screen the contents close once they have led somewhere.
  const contents = document.querySelector("details.contents");
  const wide = matchMedia("(min-width: 72rem)");
  const unfold = () => { contents.open = wide.matches; };
  wide.addEventListener("change", unfold);
  unfold();
  contents.addEventListener("click", (event) => {
    if (event.target.closest("a") && !wide.matches) contents.open = false;
  });
  open();
})();
