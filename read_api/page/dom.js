// Elements from values. Text is only ever set as text: what a device is called can never become markup.

export const byId = (id) => document.getElementById(id);

// el("td", {class: "number", onclick: open}, "12", el("b", {}, "x"))
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function notice(text, kind = "notice") {
  return el("p", { class: kind, role: kind === "error" ? "alert" : null }, text);
}

export const timeOf = (instant, text) => el("time", { datetime: instant, title: instant }, text(instant));

// Runs at most once in `ms`, and once more after the last call; calls never overlap.
export function throttled(run, ms) {
  let timer = null;
  let wanted = false;
  const go = async () => {
    wanted = false;
    await run();
    timer = setTimeout(() => {
      timer = null;
      if (wanted) start(0);
    }, ms);
  };
  const start = (delay) => {
    timer = setTimeout(go, delay);
  };
  return () => {
    wanted = true;
    if (timer === null) start(0);
  };
}
