"""Calls that budgets refuse, with OpenAI's and Anthropic's own clients; prints what they raise, one JSON line a call.

Usage: refused_calls.py PORT PREFIX, where something on 127.0.0.1 responds for both hosts. The tenant of a call is the name of
its case, and the trusted header says it.
"""

import json
import sys
import time

import anthropic
import openai

import show

MESSAGES = [{"role": "user", "content": "Wie hoch ist der Säntis?"}]

# The tenant, and how often its client tries again.
CASES = [("spent", 0), ("broke", 0), ("large", 2), ("soon", 2)]


def openais(tries):
    arguments = show.client("api.openai.com", "/v1")
    client = openai.OpenAI(**{**arguments, "max_retries": tries})
    return lambda **more: client.chat.completions.create(model="gpt-4.1-mini", messages=MESSAGES, max_tokens=100, **more)


def anthropics(tries):
    arguments = show.client("api.anthropic.com", "")
    client = anthropic.Anthropic(**{**arguments, "max_retries": tries})
    return lambda **more: client.messages.create(model="claude-sonnet-4-5", messages=MESSAGES, max_tokens=100, **more)


for sdk, create, module in [("openai", openais, openai), ("anthropic", anthropics, anthropic)]:
    for tenant, tries in CASES:
        name = f"{sdk}-{tenant}"
        headers = {"x-tenant-id": tenant, "x-request-id": sys.argv[2] + name, "x-e2e-tag": sys.argv[2] + name}
        seen = {"call": name, "before_s": time.time()}
        try:
            create(tries)(extra_headers=headers)
        except module.APIStatusError as error:
            head = error.response.headers
            seen |= {
                "raised": type(error).__name__,
                "status": error.status_code,
                "retry_after": head.get("retry-after"),
                "should_retry": head.get("x-should-retry"),
                "body": error.body,
                "message": error.message,
            }
        seen["after_s"] = time.time()
        print(json.dumps(seen))
