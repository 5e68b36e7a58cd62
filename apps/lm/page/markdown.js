// Shows the Markdown that models write, as elements with text: what a model writes can never act in the page.

const INLINE = /(`[^`\n]+`)|\*\*(?=\S)([^*\n]*?\S)\*\*|(?<![\w*])\*(?=[^\s*])([^*\n]*?[^\s*])\*(?![\w*])/g;
const LIST = /^\s*(?:[-*+]|(\d{1,9})[.)])\s+(.*)$/;

const make = (name, text = "") => {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  return made;
};

function inline(parent, text) {
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    const [whole, code, strong, emphasis] = match;
    parent.append(text.slice(end, match.index));
    if (code) parent.append(make("code", code.slice(1, -1)));
    else parent.append(make(strong ? "strong" : "em", strong ?? emphasis));
    end = match.index + whole.length;
  }
  parent.append(text.slice(end));
  return parent;
}

/** Return elements for a text: paragraphs, headings, lists, fenced code; bold, italic and code within lines. */
export function markdown(text) {
  const blocks = [];
  let list = null;
  let paragraph = null;
  const lines = text.split("\n");
  for (let number = 0; number < lines.length; number++) {
    const line = lines[number];
    const item = line.match(LIST);
    const heading = line.match(/^#{1,6}\s+(.*)$/);
    if (line.startsWith("```")) {
      const end = lines.findIndex((other, index) => index > number && other.startsWith("```"));
      const code = lines.slice(number + 1, end < 0 ? lines.length : end).join("\n");
      const block = make("pre");
      block.append(make("code", code));
      blocks.push(block);
      number = end < 0 ? lines.length : end;
      list = paragraph = null;
    } else if (item) {
      const name = item[1] ? "ol" : "ul";
      if (list?.localName !== name) {
        list = make(name);
        if (item[1]) list.start = Number(item[1]);
        blocks.push(list);
      }
      list.append(inline(make("li"), item[2]));
      paragraph = null;
    } else if (heading) {
      blocks.push(inline(make("h3"), heading[1]));
      list = paragraph = null;
    } else if (!line.trim()) {
      paragraph = null; // an empty line between items does not end their list
    } else if (paragraph) {
      paragraph.append(make("br"));
      inline(paragraph, line);
    } else {
      paragraph = inline(make("p"), line);
      blocks.push(paragraph);
      list = null;
    }
  }
  return blocks;
}
