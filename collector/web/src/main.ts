// The page: reads the address, asks the collector, shows what came.

import { get, type Session } from "./api.ts";
import { h, fill } from "./dom.ts";
import { login, logout } from "./login.ts";
import { foreign } from "./names.ts";
import { View } from "./view.ts";

const content = document.querySelector<HTMLElement>("#content");
const who = document.querySelector<HTMLElement>("#who");
const status = document.querySelector<HTMLElement>("#status");
if (!content || !who || !status) throw new Error("index.html is not of this script");

const view = new View(content, status, () => void begin("You were logged out: log in again."));
addEventListener("popstate", () => view.restore());

async function begin(why = ""): Promise<void> {
  if (!content || !who || !status) return;
  view.stop();
  fill(who);
  fill(status);
  let session: Session;
  try {
    session = await get<Session>("session");
  } catch (error) {
    fill(
      content,
      h(
        "p",
        { role: "alert", class: "problem" },
        `The collector cannot be asked: ${error instanceof Error ? error.message : String(error)}`,
      ),
    );
    return;
  }
  if (session.login && session.name === undefined) return login(content, why, () => void begin());
  const leave = (): void => void logout().then(() => begin("You are logged out."));
  fill(
    who,
    session.login && session.name !== undefined && h("span", {}, foreign(session.name)),
    session.tenants !== undefined && h("span", { class: "quiet" }, " sees ", foreign(session.tenants.join(", "))),
    session.login && h("button", { type: "button", id: "logout", click: leave }, "Log out"),
  );
  view.start(session.tenants !== undefined);
}

await begin();
