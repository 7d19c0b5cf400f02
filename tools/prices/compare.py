"""Charges beside what LiteLLM's and genai-prices' own calculators say for the same records: same classes, same names.

compare.py CORPUS_PRICES DIR [BOOK...]: runs `corpus-prices` over the recordings of DIR, and gives each record with reported counts to
both calculators. A charge is equal if it differs by less than a billionth of itself: LiteLLM calculates in floats. Every other
record stands under a reason (`reason`), or under `different, no reason`, which fails.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from decimal import Decimal

# The list of its package, not today's from the network.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import genai_prices
import litellm
from genai_prices import Usage as GenaiUsage
from litellm.litellm_core_utils.llm_cost_calc.utils import generic_cost_per_token
from litellm.types.utils import CompletionTokensDetailsWrapper, PromptTokensDetailsWrapper, Usage

LITELLM = {
    "aws.bedrock": "bedrock", "azure.ai.inference": "azure_ai", "azure.ai.openai": "azure", "alibaba": "dashscope",
    "fireworks": "fireworks_ai", "gcp.gemini": "gemini", "gcp.vertex_ai": "vertex_ai", "ibm.watsonx.ai": "watsonx", "jina": "jina_ai",
    "mistral_ai": "mistral", "moonshot_ai": "moonshot", "nvidia": "nvidia_nim", "together": "together_ai",
    "vercel": "vercel_ai_gateway", "x_ai": "xai",
}
GENAI = {
    "aws.bedrock": "aws", "azure.ai.inference": "azure", "azure.ai.openai": "azure", "gcp.gemini": "google",
    "gcp.vertex_ai": "google", "github": "github-copilot", "mistral_ai": "mistral", "moonshot_ai": "moonshotai",
    "voyage": "voyageai", "x_ai": "x-ai",
}
TIERS = {"on_demand_flex": "flex", "on_demand_priority": "priority"}
NEAR = Decimal("1e-9")


def total(data, *names):
    return sum(data.get(name) or 0 for name in names)


class Record:
    """A record as both calculators are asked about it."""

    def __init__(self, line):
        self.line, self.data = line, line["data"]
        self.provider = self.data.get("provider", "")
        self.lines = line["rating"]["lines"]
        self.models = list(dict.fromkeys(filter(None, map(self.data.get, ("response_model", "request_model", "path_model")))))
        tier = (self.data.get("service_tier") or "").lower()
        tier = TIERS.get(tier, tier)
        self.tier = tier if tier in ("flex", "priority", "batch") else None

    def ours(self):
        """What the tokens cost."""
        return sum((Decimal(line[3]) for line in self.lines if line[0].endswith("_tokens") and len(line) > 3), Decimal(0))

    def has_tokens(self):
        return any(line[0].endswith("_tokens") for line in self.lines)

    def litellm(self):
        d = self.data
        read = total(d, "cache_read_tokens", "cache_read_audio_tokens", "cache_read_image_tokens", "cache_read_video_tokens",
                     "cache_read_explicit_tokens")
        write_1h = total(d, "cache_write_1h_tokens")
        written = total(d, "cache_write_5m_tokens", "cache_write_30m_tokens", "cache_write_other_tokens") + write_1h
        details = {"text_tokens": total(d, "input_text_tokens", "input_tool_tokens"), "cached_tokens": read,
                   "audio_tokens": total(d, "input_audio_tokens"), "image_tokens": total(d, "input_image_tokens")}
        if written:
            details["cache_creation_tokens"] = written
            details["cache_creation_token_details"] = {
                "ephemeral_5m_input_tokens": written - write_1h, "ephemeral_1h_input_tokens": write_1h,
            }
        usage = Usage(
            prompt_tokens=d.get("input_tokens") or 0,
            completion_tokens=d.get("output_tokens") or 0,
            total_tokens=(d.get("input_tokens") or 0) + (d.get("output_tokens") or 0),
            prompt_tokens_details=PromptTokensDetailsWrapper(**details),
            completion_tokens_details=CompletionTokensDetailsWrapper(
                text_tokens=total(d, "output_text_tokens", "output_citation_tokens"), reasoning_tokens=total(d, "output_reasoning_tokens"),
                audio_tokens=total(d, "output_audio_tokens"), image_tokens=total(d, "output_image_tokens"),
            ),
        )
        provider = LITELLM.get(self.provider, self.provider)
        for model in self.models:
            try:
                prompt, completion = generic_cost_per_token(
                    model=model, usage=usage, custom_llm_provider=provider, service_tier=self.tier
                )
                # What it does not know costs nothing by it.
                return Decimal(repr(prompt)) + Decimal(repr(completion)) or None
            except Exception:  # noqa: BLE001 it has many ways to say that it knows no price
                continue
        return None

    def genai(self):
        d = self.data
        read = {"": total(d, "cache_read_tokens"), "audio_": total(d, "cache_read_audio_tokens"), "image_": total(d, "cache_read_image_tokens")}
        counts = {
            "input_tokens": d.get("input_tokens"), "output_tokens": d.get("output_tokens"), "cache_read_tokens": sum(read.values()),
            "cache_write_tokens": total(d, "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_write_other_tokens"),
            "cache_write_1h_tokens": total(d, "cache_write_1h_tokens"),
            "input_audio_tokens": total(d, "input_audio_tokens", "cache_read_audio_tokens"), "cache_audio_read_tokens": read["audio_"],
            "input_image_tokens": total(d, "input_image_tokens", "cache_read_image_tokens"), "cache_image_read_tokens": read["image_"],
            "output_audio_tokens": total(d, "output_audio_tokens"), "output_image_tokens": total(d, "output_image_tokens"),
        }
        usage = GenaiUsage(**{name: count for name, count in counts.items() if count})
        context = {"service_tier": self.tier} if self.tier in ("flex", "priority") else {"processing": "batch"} if self.tier else None
        for model in self.models:
            try:
                found = genai_prices.calc_price(usage, model, provider_id=GENAI.get(self.provider, self.provider), price_context=context)
                return found.total_price
            except Exception:  # noqa: BLE001
                continue
        return None


def reason(record, name, ours, theirs, other):
    """Why the charge is not what a calculator says, if that is known; by kind, never by record."""
    data, lines = record.data, record.lines
    entry = record.line["rating"].get("entry") or ""
    if record.line["rating"].get("by") in ("own", "not_billed", "prepaid"):
        return "the provider's own price, or its word that it bills nothing, stands over every list"
    if any(line[0] in ("input_tool_tokens", "output_citation_tokens", "cache_write_other_tokens") for line in lines):
        return "a class that the calculator does not have"
    if other is not None and abs(ours - other) <= NEAR * max(ours, other):
        return "the lists differ, and the charge is what the other calculator says"
    if data.get("region") or data.get("inference_geo") or data.get("speed"):
        return "the region, the place or the speed has a price, of which the calculator was told nothing"
    if any(line[0].startswith("cache_") for line in lines) and name == "genai-prices":
        return "the calculator has no price for what was written to or read from the cache, or another"
    if name == "genai-prices" and record.provider.startswith("azure."):
        return "LiteLLM's list has Azure's own price, genai-prices takes the maker's"
    if theirs == 0:
        return "the calculator's list has a free tier, LiteLLM's list the price"
    return None


def main():
    program, directory, *books = sys.argv[1:]
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file, tempfile.NamedTemporaryFile() as out:
        command = [program, directory, "--prices", *books, "--records", file.name, "--out", out.name]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        records = [Record(json.loads(line)) for line in open(file.name)]
    records = [r for r in records if r.line["commercial"] and r.data.get("evidence") == "reported" and r.has_tokens()]
    litellm.suppress_debug_info = True
    table, examples = defaultdict(Counter), defaultdict(list)
    for record in records:
        said = {"litellm": record.litellm(), "genai-prices": record.genai()}
        ours = record.ours() if not record.line["unpriced"] else None
        for name, theirs in said.items():
            other = next(value for key, value in said.items() if key != name)
            if ours is None or theirs is None:
                kind = {(True, True): "neither has a price", (True, False): "only the calculator has a price"}.get(
                    (ours is None, theirs is None), "only the book has a price")
            elif abs(ours - theirs) <= NEAR * max(ours, theirs):
                kind = "equal"
            else:
                why = reason(record, name, ours, theirs, other)
                kind = f"different: {why}" if why else "different, no reason"
            table[name][kind] += 1
            if kind not in ("equal", "neither has a price") and len(examples[name, kind]) < 400:
                examples[name, kind].append((record.line["id"], record.provider, record.models[:2], str(ours), str(theirs), record.line["rating"]))
    for name, kinds in table.items():
        print(f"{name}: {len(records)} records of tokens")
        for kind, count in sorted(kinds.items(), key=lambda item: -item[1]):
            print(f"  {count:5}  {kind}")
    # In cargo's target directory, wherever this is run from.
    with open(pathlib.Path(program).resolve().parents[2] / "prices-compared.jsonl", "w") as file:
        for (name, kind), all_of in examples.items():
            for example in all_of:
                file.write(json.dumps([name, kind, *example]) + "\n")
    print(json.dumps({name: dict(kinds) for name, kinds in table.items()}))
    sys.exit(1 if any("different, no reason" in kinds for kinds in table.values()) else 0)


main()
