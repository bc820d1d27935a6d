// ---- markdown: a subset, as DOM nodes ----
//
// Text of a model only ever becomes text nodes; no HTML is parsed, so none can be smuggled in.
// Every loop goes forward and a search that failed is not repeated: time stays near linear.

function element(tag, properties, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined) continue;
    if (name in node && !name.startsWith("aria")) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

function renderMarkdown(text) {
  const fragment = document.createDocumentFragment();
  appendBlocks(fragment, text.split("\n"), 0);
  return fragment;
}

// ---- blocks ----

const MAX_NESTING = 8;
const FENCE = /^ {0,3}(`{3,}|~{3,})[ \t]*([^\s`]*)/;
const HEADING = /^ {0,3}(#{1,6})[ \t]+(.*)$/;
const RULE = /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])(?:[ \t]+|$)/;
const TABLE_RULE = /^ *\|?[ :|-]*-[ :|-]*$/;

const isBlank = (line) => line.trim() === "";
const beginsBlock = (line) =>
  FENCE.test(line) || HEADING.test(line) || QUOTE.test(line) || ITEM.test(line) || RULE.test(line);
const isTableAt = (lines, i) =>
  lines[i].includes("|") && lines[i + 1]?.includes("|") && TABLE_RULE.test(lines[i + 1]);

function appendBlocks(into, lines, depth) {
  let i = 0;
  while (i < lines.length) {
    const line = lines[i];
    if (isBlank(line)) i++;
    else if (FENCE.test(line)) i = appendCode(into, lines, i);
    else if (HEADING.test(line)) i = appendHeading(into, line, i);
    else if (RULE.test(line)) (into.append(element("hr")), i++);
    else if (QUOTE.test(line) && depth < MAX_NESTING) i = appendQuote(into, lines, i, depth);
    else if (ITEM.test(line) && depth < MAX_NESTING) i = appendList(into, lines, i, depth);
    else if (isTableAt(lines, i)) i = appendTable(into, lines, i);
    else i = appendParagraph(into, lines, i);
  }
}

function appendCode(into, lines, begin) {
  const [, mark, language] = FENCE.exec(lines[begin]);
  let end = begin + 1;
  const isEnd = (line) => {
    const text = line.trim();
    return text.length >= mark.length && text === mark[0].repeat(text.length);
  };
  while (end < lines.length && !isEnd(lines[end])) end++;
  into.append(codeBlock(lines.slice(begin + 1, end).join("\n"), language));
  return end + 1;
}

function codeBlock(text, language) {
  return element(
    "figure",
    { className: "code" },
    element(
      "figcaption",
      {},
      element("span", { textContent: language || "code" }),
      element("button", {
        type: "button",
        className: "quiet",
        textContent: "Copy",
        "data-action": "copy-code",
      }),
    ),
    element("pre", { tabIndex: 0 }, element("code", { textContent: text })),
  );
}

function appendHeading(into, line, i) {
  const [, marks, text] = HEADING.exec(line);
  let end = text.trimEnd().length;
  while (end > 0 && text[end - 1] === "#") end--;
  const heading = element("h" + Math.min(marks.length + 2, 6)); // h1 and h2 are the page's own
  appendInline(heading, (end === 0 || text[end - 1] === " " ? text.slice(0, end) : text).trim());
  into.append(heading);
  return i + 1;
}

function appendQuote(into, lines, i, depth) {
  const inner = [];
  for (; i < lines.length && QUOTE.test(lines[i]); i++) inner.push(lines[i].replace(QUOTE, ""));
  const quote = element("blockquote");
  appendBlocks(quote, inner, depth + 1);
  into.append(quote);
  return i;
}

// One list: items of the same kind with the same indentation; what is indented further is theirs.
function appendList(into, lines, i, depth) {
  const [, indent, mark] = ITEM.exec(lines[i]);
  const isOrdered = /\d/.test(mark);
  const isSame = (line) => {
    const found = ITEM.exec(line);
    return found && found[1].length <= indent.length + 1 && /\d/.test(found[2]) === isOrdered;
  };
  const list = element(isOrdered ? "ol" : "ul");
  if (isOrdered && parseInt(mark) !== 1) list.start = parseInt(mark);
  while (i < lines.length && isSame(lines[i]) && !RULE.test(lines[i])) {
    const width = ITEM.exec(lines[i])[0].length;
    const inner = [lines[i].slice(width)];
    for (i++; i < lines.length; i++) {
      const column = lines[i].length - lines[i].trimStart().length;
      const isOurs =
        column > indent.length + 1 ||
        (!isBlank(lines[i]) && !beginsBlock(lines[i]) && !isBlank(lines[i - 1]));
      if (isBlank(lines[i]) ? !nextIsIndented(lines, i, indent.length + 2) : !isOurs) break;
      inner.push(lines[i].slice(Math.min(column, width)));
    }
    const item = element("li");
    appendItem(item, inner, depth);
    list.append(item);
    const next = skipBlank(lines, i);
    if (next < lines.length && isSame(lines[next])) i = next;
  }
  into.append(list);
  return i;
}

function skipBlank(lines, i) {
  while (i < lines.length && isBlank(lines[i])) i++;
  return i;
}

function nextIsIndented(lines, i, column) {
  const next = lines[skipBlank(lines, i)] ?? "";
  return next.length - next.trimStart().length >= column;
}

// A single paragraph in an item needs no <p>: that keeps lists tight.
function appendItem(item, lines, depth) {
  appendBlocks(item, lines, depth + 1);
  const first = item.firstChild;
  if (first?.tagName === "P") first.replaceWith(...first.childNodes);
}

function cellsOf(line) {
  const text = line.trim().replace(/^\|/, "").replace(/\|$/, "");
  return text.split("|").map((cell) => cell.trim());
}

function appendTable(into, lines, i) {
  const rowOf = (line, tag) => {
    const row = element("tr");
    for (const cell of cellsOf(line)) appendInline(row.appendChild(element(tag)), cell);
    return row;
  };
  const body = element("tbody");
  const head = element("thead", {}, rowOf(lines[i], "th"));
  for (i += 2; i < lines.length && lines[i].includes("|"); i++) body.append(rowOf(lines[i], "td"));
  const table = element("table", {}, head, body);
  into.append(element("div", { className: "table", tabIndex: 0 }, table));
  return i;
}

function appendParagraph(into, lines, i) {
  const begin = i++;
  while (i < lines.length && !isBlank(lines[i]) && !beginsBlock(lines[i])) i++;
  const paragraph = element("p");
  appendInline(paragraph, lines.slice(begin, i).join("\n"));
  into.append(paragraph);
  return i;
}

// ---- within a line ----

const SPECIAL = /[\\`*_~[!<\n]|https?:\/\//g;
const BARE_LINK = /https?:\/\/[^\s<>"'`]+/y;
const ANGLE_LINK = /<(https?:\/\/[^\s<>]+)>/y;
const LINK =
  /!?\[([^[\]\n]{0,1000})\]\(\s*<?([^\s()<>]*(?:\([^\s()<>]*\)[^\s()<>]*)*)>?(?:\s+"[^"\n]*")?\s*\)/y;
const MARKS = { "**": "strong", __: "strong", "~~": "del", "*": "em", _: "em" };
const isWord = (character) => character !== undefined && /[\p{L}\p{N}_]/u.test(character);
const isSpace = (character) => character === undefined || /\s/.test(character);

function matchAt(pattern, text, i) {
  pattern.lastIndex = i;
  return pattern.exec(text);
}

function appendInline(into, text, depth = 0) {
  const missing = new Set(depth < MAX_NESTING ? [] : Object.keys(MARKS)); // without an end from here
  let i = 0;
  while (i < text.length) {
    const next = matchAt(SPECIAL, text, i)?.index ?? text.length;
    if (next > i) into.append(text.slice(i, next));
    i = next;
    if (i < text.length) i = appendSpecial(into, text, i, missing, depth);
  }
}

// Appends what begins at i, at the least its first character as text; returns where it ends.
function appendSpecial(into, text, i, missing, depth) {
  const character = text[i];
  let found;
  if (character === "\\" && /[!-/:-@[-`{-~]/.test(text[i + 1] ?? "")) {
    into.append(text[i + 1]);
    return i + 2;
  }
  if (character === "\n") {
    into.append(element("br"));
    return i + 1;
  }
  if (character === "`") return appendCodeSpan(into, text, i, missing);
  if ((character === "[" || character === "!") && (found = matchAt(LINK, text, i))) {
    const link = linkTo(found[2]);
    if (link) {
      if (found[1]) appendInline(link, found[1], depth + 1);
      else link.append(found[2]);
      into.append(link);
      return i + found[0].length;
    }
  }
  if (character === "<" && (found = matchAt(ANGLE_LINK, text, i))) {
    into.append(labelled(linkTo(found[1]), found[1]) ?? found[0]);
    return i + found[0].length;
  }
  if (character === "h" && (found = matchAt(BARE_LINK, text, i))) {
    const address = found[0].replace(/[.,;:!?)\]*_~]{1,20}$/, "");
    into.append(labelled(linkTo(address), address) ?? address);
    return i + address.length;
  }
  return appendEmphasis(into, text, i, missing, depth);
}

// Only addresses that cannot run anything; the page they lead to learns nothing of this one.
function linkTo(address) {
  if (!/^(https?:\/\/|mailto:)/i.test(address)) return null;
  return element("a", { href: address, target: "_blank", rel: "noopener noreferrer" });
}

function labelled(link, label) {
  link?.append(label);
  return link;
}

function appendCodeSpan(into, text, i, missing) {
  let end = i;
  while (text[end] === "`") end++;
  const mark = text.slice(i, end);
  let close = missing.has(mark) ? -1 : text.indexOf(mark, end);
  while (close >= 0 && text[close + mark.length] === "`") {
    let after = close;
    while (text[after] === "`") after++;
    close = text.indexOf(mark, after);
  }
  if (close < 0) {
    missing.add(mark);
    into.append(mark);
    return end;
  }
  into.append(element("code", { textContent: text.slice(end, close).replace(/^ (.+) $/s, "$1") }));
  return close + mark.length;
}

function appendEmphasis(into, text, i, missing, depth) {
  const double = text.slice(i, i + 2);
  const mark = MARKS[double] ? double : text[i];
  const opens = !isSpace(text[i + mark.length]) && !(mark[0] === "_" && isWord(text[i - 1]));
  const close = MARKS[mark] && opens && !missing.has(mark) ? closingMark(text, i, mark) : -1;
  if (close < 0) {
    if (MARKS[mark] && opens) missing.add(mark);
    into.append(mark);
    return i + mark.length;
  }
  const node = element(MARKS[mark]);
  appendInline(node, text.slice(i + mark.length, close), depth + 1);
  into.append(node);
  return close + mark.length;
}

function closingMark(text, i, mark) {
  for (let j = text.indexOf(mark, i + mark.length + 1); j >= 0; j = text.indexOf(mark, j + 1)) {
    const isPartOfLonger = mark.length === 1 && (text[j + 1] === mark || text[j - 1] === mark);
    const closes = !isSpace(text[j - 1]) && !(mark[0] === "_" && isWord(text[j + mark.length]));
    if (closes && !isPartOfLonger) return j;
  }
  return -1;
}
