// Logging in and out. The token goes to the collector once, which gives the browser a cookie that no script can read.

import { post, Refused } from "./api.ts";
import { fill, h } from "./dom.ts";

export function login(place: HTMLElement, why: string, done: () => void): void {
  const token = h("input", {
    id: "token",
    type: "password",
    name: "token",
    autocomplete: "current-password",
    required: true,
    spellcheck: "false",
    "aria-describedby": "problem",
  });
  const problem = h("p", { id: "problem", role: "alert", class: "problem" }, why);
  const button = h("button", { type: "submit" }, "Log in");
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    button.disabled = true;
    fill(problem);
    try {
      await post("login", { token: token.value });
      done();
    } catch (error) {
      fill(problem, said(error));
      token.value = "";
      button.disabled = false;
      token.focus();
    }
  };
  const form = h(
    "form",
    { class: "login", submit: (event) => void submit(event) },
    h("h1", {}, "Log in"),
    h("label", { for: "token" }, "Read token"),
    token,
    button,
    problem,
    h(
      "p",
      { class: "quiet" },
      "Read tokens come from whoever runs the collector. A session lasts 12 hours, or until you log out.",
    ),
  );
  fill(place, form);
  token.focus();
}

function said(error: unknown): string {
  if (error instanceof Refused && error.status === 401) return "The collector does not know this token.";
  if (error instanceof Refused && error.status === 403) return "This token is not for reading.";
  return error instanceof Error ? error.message : String(error);
}

export async function logout(): Promise<void> {
  await post("logout", {});
}
