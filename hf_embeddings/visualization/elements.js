// How every page makes its elements; it comes before all other scripts.

/** Make an element: el("p.note", {title: "x"}, "text", child). */
function el(kind, attributes = {}, ...children) {
  const [tag, ...classes] = kind.split("."), item = document.createElement(tag);
  return fill(item, classes, attributes, children);
}

function svg(kind, attributes = {}, ...children) {
  const [tag, ...classes] = kind.split("."), item = document.createElementNS("http://www.w3.org/2000/svg", tag);
  return fill(item, classes, attributes, children);
}

function fill(item, classes, attributes, children) {
  item.classList.add(...classes);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) item.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) item.setAttribute(name, value === true ? "" : value);
  }
  item.append(...children.filter(child => child !== null));
  return item;
}
