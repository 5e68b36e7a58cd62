// The turns of a conversation, as elements with text.

const element = (id) => document.getElementById(id);

/** Add a turn; return the element of its text. */
export function turn(role, title, text) {
  const article = document.createElement("article");
  article.className = `turn ${role}`;
  const heading = document.createElement("h2");
  heading.textContent = title;
  const content = document.createElement("div");
  content.textContent = text;
  article.append(heading, content);
  element("turns").append(article);
  article.scrollIntoView({ block: "nearest" });
  return content;
}

/** Add a message of the user, with a button that calls `edit`; return its article. */
export function question(text, edit) {
  const article = turn("user", "You", text).parentElement;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "edit";
  button.textContent = "Edit";
  button.setAttribute("aria-label", `Edit: ${text.slice(0, 80)}`);
  button.addEventListener("click", edit);
  article.append(button);
  return article;
}

/** Add a part of a turn that looks different, because the model has not written it. */
export function part(content, look, text) {
  const span = document.createElement("span");
  span.className = look;
  span.textContent = text;
  content.append(span);
}

export function removeFrom(article) {
  while (article.nextElementSibling) article.nextElementSibling.remove();
  article.remove();
}
