"""What a client sees, in a form that can be compared."""

import json
import sys

PORT, PREFIX = int(sys.argv[1]), sys.argv[2]
# Where a gateway has the host; without it the host is asked for by its name.
MOUNT = sys.argv[3] if len(sys.argv) > 3 else None


def client(host, path):
    """Arguments of a client that reaches a host on this machine, and tries once."""
    return {
        "api_key": "sk-e2e",
        "base_url": f"http://127.0.0.1:{PORT}{MOUNT or ''}{path}",
        "default_headers": {} if MOUNT else {"host": host},
        "max_retries": 0,
        "timeout": 20,
    }


class Seen:
    """One call."""

    def __init__(self, name):
        self.name = name
        self.events = []
        self.set_events = []

    def headers(self, more):
        """Names the call, and fixes the id of its response."""
        name = PREFIX + self.name
        return {"x-e2e-tag": name, "x-request-id": name, "x-serial": "7", **more}

    def event(self, event):
        self.events.append(event.model_dump_json())
        # The same without what the response did not mention: here even a null shows.
        self.set_events.append(event.model_dump_json(exclude_unset=True))

    def error(self, error):
        status = getattr(error, "status_code", None)
        self.events.append(json.dumps([type(error).__name__, status, error.message, error.body], ensure_ascii=False))

    def print(self):
        print(json.dumps({"call": self.name, "events": self.events, "set_events": self.set_events}, ensure_ascii=False))
