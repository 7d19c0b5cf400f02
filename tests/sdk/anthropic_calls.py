"""Calls with Anthropic's own client; prints what the client sees of each response, one JSON line a call.

Usage: anthropic_calls.py PORT PREFIX [MOUNT], where something on 127.0.0.1 responses for api.anthropic.com; the prefix is that of
the calls' ids. With MOUNT it responds there for whatever host it is called by.
"""

import asyncio

import anthropic

import show

ARGUMENTS = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 1024,
    "messages": [{"role": "user", "content": "Wie hoch ist der Säntis?"}],
}
CALLS = [
    ("messages", {}, {}),
    ("messages_stream", {"stream": True}, {}),
    ("messages_error_status", {}, {"x-fault": "status-529"}),
]


def synchronous():
    client = anthropic.Anthropic(**show.client("api.anthropic.com", ""))
    for name, arguments, headers in CALLS:
        seen = show.Seen("sync_" + name)
        try:
            response = client.messages.create(**ARGUMENTS, **arguments, extra_headers=seen.headers(headers))
            for event in response if arguments.get("stream") else [response]:
                seen.event(event)
        except anthropic.APIError as error:
            seen.error(error)
        seen.print()
    seen = show.Seen("sync_messages_helper")
    with client.messages.stream(**ARGUMENTS, extra_headers=seen.headers({})) as stream:
        for event in stream:
            seen.event(event)
        seen.event(stream.get_final_message())
    seen.print()


async def asynchronous():
    client = anthropic.AsyncAnthropic(**show.client("api.anthropic.com", ""))
    for name, arguments, headers in CALLS:
        seen = show.Seen("async_" + name)
        try:
            response = await client.messages.create(**ARGUMENTS, **arguments, extra_headers=seen.headers(headers))
            if arguments.get("stream"):
                async for event in response:
                    seen.event(event)
            else:
                seen.event(response)
        except anthropic.APIError as error:
            seen.error(error)
        seen.print()


synchronous()
asyncio.run(asynchronous())
