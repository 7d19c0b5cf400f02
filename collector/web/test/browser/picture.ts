// The picture of the documentation: the page on a real collector, with invented calls that are the same each time.

import { stat } from "node:fs/promises";
import { browse, Collector, READ, Visitor, type Call } from "./harness.ts";

const MAX_BYTES = 200_000;
const SINCE = Date.parse("2026-11-01T09:00:00Z");

function calls(): Call[] {
  const all: Call[] = [];
  const tenants: [string, number][] = [
    ["acme/search", 9],
    ["acme/support", 6],
    ["acme/ml/training", 3],
    ["beta", 7],
    ["gamma/eu", 4],
    ["gamma/us", 3],
    ["delta", 2],
    ["epsilon", 1],
  ];
  const models: [string, string][] = [
    ["openai", "gpt-4.1"],
    ["openai", "gpt-4.1-mini"],
    ["openai", "gpt-4o"],
  ];
  for (let day = -28; day < 28; day++) {
    const weekend = (day + 28) % 7 === 0 || (day + 28) % 7 === 6;
    for (const [index, [tenant, size]] of tenants.entries()) {
      for (let call = 0; call < (weekend ? 2 : 5); call++) {
        const [provider, model] = models[(index + call) % models.length] ?? ["", ""];
        // Waves that no random number makes.
        const wave = 1000 + Math.round(600 * Math.sin((day + 3 * index) / 3) + 37 * call);
        const usage = {
          input_text_tokens: 300 * size * wave,
          cache_read_tokens: 60 * size * wave,
          output_text_tokens: 12 * size * wave,
        };
        const evidence = ((day + 28) * 7 + call * 3 + index) % 41 === 0 ? { evidence: "estimated" } : {};
        all.push({
          at: new Date(SINCE + day * 86_400_000 + call * 3_600_000),
          tenant,
          provider,
          model,
          usage,
          ...evidence,
        });
      }
    }
  }
  all.push({
    at: new Date(SINCE),
    tenant: "delta",
    provider: "openai",
    model: "in-house-7b",
    usage: { input_text_tokens: 90_000 },
  });
  return all;
}

const path = process.env["MESHMETER_PICTURE"];
if (!path) throw new Error("MESHMETER_PICTURE is not set: ./just web-picture sets it");
const collector = await Collector.start(`finance ${READ}\n`);
const browser = await browse();
try {
  await collector.send(calls());
  const visitor = await Visitor.enter(browser, collector, {
    viewport: { width: 1080, height: 1330 },
    colorScheme: "light",
  });
  await visitor.go(collector, "?since=2026-11-01&until=2026-11-28");
  await visitor.login();
  await visitor.shown();
  await visitor.page.screenshot({ path });
  await visitor.leave();
} finally {
  await browser.close();
  collector.stop();
}
const { size } = await stat(path);
if (size > MAX_BYTES) throw new Error(`${path} has ${size} bytes, more than ${MAX_BYTES}`);
console.log(`${path}: ${size} bytes`);
