"""Calls with OpenAI's own client; prints what the client sees of each response, one JSON line a call.

Usage: openai_calls.py PORT PREFIX [MOUNT], where something on 127.0.0.1 responses for api.openai.com; the prefix is that of
the calls' ids. With MOUNT it responds there for whatever host it is called by.
"""

import asyncio

import openai

import show

MESSAGES = [{"role": "user", "content": "Wie wird das Wetter in Zürich?"}]
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}]

# Name, further arguments, further headers. The model chooses the response.
CHAT = [
    ("not_streamed", {"model": "gpt-4.1-mini"}, {}),
    ("two_choices", {"model": "gpt-4o-mini", "n": 2}, {}),
    ("stream", {"model": "gpt-4.1-nano", "stream": True}, {}),
    ("stream_asked", {"model": "gpt-4.1-nano", "stream": True, "stream_options": {"include_usage": True}}, {}),
    ("stream_refused", {"model": "gpt-4.1-nano", "stream": True, "stream_options": {"include_usage": False}}, {}),
    ("stream_empty_options", {"model": "gpt-4.1-nano", "stream": True, "stream_options": {}}, {}),
    (
        "stream_other_options",
        {"model": "gpt-4.1-nano", "stream": True, "stream_options": {"include_obfuscation": False}},
        {},
    ),
    ("stream_tools", {"model": "gpt-4.1", "stream": True, "tools": TOOLS}, {}),
    ("stream_two_choices", {"model": "gpt-4o-mini", "stream": True, "n": 2}, {}),
    ("stream_error_in_the_middle", {"model": "gpt-4.1-nano", "stream": True}, {"x-fault": "error-after-4"}),
    ("error_status", {"model": "gpt-4.1-mini"}, {"x-fault": "status-429"}),
    ("stream_error_status", {"model": "gpt-4.1-nano", "stream": True}, {"x-fault": "status-401"}),
    ("options_without_stream", {"model": "gpt-4.1-mini", "stream_options": {"include_usage": True}}, {}),
]
RESPONSES = [
    ("responses", {"model": "gpt-5"}, {}),
    ("responses_stream", {"model": "gpt-5", "stream": True}, {}),
]


def calls(client):
    for name, arguments, headers in CHAT:
        yield name, headers, client.chat.completions.create, {"messages": MESSAGES, **arguments}
    for name, arguments, headers in RESPONSES:
        yield name, headers, client.responses.create, {"input": "Wie hoch ist der Säntis?", **arguments}


def synchronous():
    client = openai.OpenAI(**show.client("api.openai.com", "/v1"))
    for name, headers, create, arguments in calls(client):
        seen = show.Seen("sync_" + name)
        try:
            response = create(**arguments, extra_headers=seen.headers(headers))
            for event in response if arguments.get("stream") else [response]:
                seen.event(event)
        except openai.APIError as error:
            seen.error(error)
        seen.print()
    with client.chat.completions.stream(
        model="gpt-4.1-nano", messages=MESSAGES, extra_headers=show.Seen("sync_helper").headers({})
    ) as stream:
        seen = show.Seen("sync_helper")
        for event in stream:
            seen.event(event)
        seen.event(stream.get_final_completion())
        seen.print()


async def asynchronous():
    client = openai.AsyncOpenAI(**show.client("api.openai.com", "/v1"))
    for name, headers, create, arguments in calls(client):
        seen = show.Seen("async_" + name)
        try:
            response = await create(**arguments, extra_headers=seen.headers(headers))
            if arguments.get("stream"):
                async for event in response:
                    seen.event(event)
            else:
                seen.event(response)
        except openai.APIError as error:
            seen.error(error)
        seen.print()


synchronous()
asyncio.run(asynchronous())
