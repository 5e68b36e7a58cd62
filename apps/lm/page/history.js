// The list of conversations that this browser keeps. The service stores none.

const [KEPT, OFF] = ["conversations", "conversations-off"]; // keys of the browser's storage
const MOST = 50;
const element = (id) => document.getElementById(id);

const storage = (() => {
  try {
    return window.localStorage;
  } catch {
    return null; // the user has forbidden it
  }
})();

/** Return what is kept, the latest first: {id, messages}. */
function read() {
  try {
    return JSON.parse(storage.getItem(KEPT) ?? "[]").filter(({ id, messages }) => id && messages.every(
      ({ role, content }) => ["user", "assistant"].includes(role) && typeof content === "string",
    ));
  } catch {
    return []; // it is not ours
  }
}

function write(conversations) {
  for (let kept = conversations.slice(0, MOST); ; kept.pop()) {
    try {
      return storage.setItem(KEPT, JSON.stringify(kept));
    } catch {
      if (kept.length === 0) return; // otherwise without the oldest: the browser's space is used up
    }
  }
}

function button(text, label, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.setAttribute("aria-label", label);
  made.addEventListener("click", act);
  return made;
}

/** One conversation is the current one. `open` shows the messages of another; `close` leaves one that was deleted. */
export class History {
  constructor(open, close) {
    [this.open, this.close, this.id] = [open, close, null];
    element("history").hidden = !storage;
    if (!storage) return;
    element("keep").checked = !storage.getItem(OFF);
    element("keep").addEventListener("change", ({ target }) => {
      if (target.checked) storage.removeItem(OFF);
      else storage.setItem(OFF, "1");
    });
    element("forget").addEventListener("click", () => {
      write([]);
      if (this.id) this.close();
      this.show();
    });
    addEventListener("storage", () => this.show()); // of another tab
    this.show();
  }

  /** Begin a conversation, or go on with the one that has this id. */
  use(id = null) {
    this.id = id;
    this.show();
  }

  keep(messages) {
    if (!storage || !element("keep").checked) return;
    this.id ??= `${Date.now()}-${Math.random()}`;
    write([{ id: this.id, messages }, ...read().filter(({ id }) => id !== this.id)]);
    this.show();
  }

  show() {
    if (!storage) return;
    const kept = read();
    element("forget").disabled = kept.length === 0;
    element("conversations").replaceChildren(...kept.map((conversation) => this.item(conversation)));
  }

  item({ id, messages }) {
    const item = document.createElement("li");
    const title = messages[0]?.content ?? "";
    const open = button(title, `Open: ${title.slice(0, 80)}`, () => {
      this.open(messages);
      this.use(id);
    });
    if (id === this.id) open.setAttribute("aria-current", "true");
    item.append(open, button("Delete", `Delete: ${title.slice(0, 80)}`, () => {
      write(read().filter((other) => other.id !== id));
      if (id === this.id) this.close();
      this.show();
      element("history").querySelector("summary").focus(); // the button that had the focus is gone
    }));
    return item;
  }
}
