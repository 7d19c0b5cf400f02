"""Whether the collector is what its OpenAPI document says: `openapi.py URL` with credentials and questions on standard input.

The document must be valid. Then each question is asked, and each response must have a status, a type and a body as the
document says. Responses may have no field that the document does not name, although clients are told to ignore such.
"""

import json
import sys
import urllib.error
import urllib.request

from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012


def closed(schema):
    """The same schema, to which an object of other fields than those named is wrong."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: closed(part) for name, part in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        schema.setdefault("additionalProperties", False)
    return schema


def ask(url, question):
    """Status, type without parameters, and body of a response."""
    request = urllib.request.Request(url + question["path"], method=question.get("method", "GET"))
    for name, value in question.get("headers", {}).items():
        request.add_header(name, value)
    body = question.get("body")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        response = opener.open(request, body.encode() if body is not None else None, timeout=60)
    except urllib.error.HTTPError as refused:
        response = refused
    return response.status, response.headers, response.read()


def problems_of(document, question, status, headers, body):
    """What is not as the document says."""
    path = question["path"].split("?")[0]
    operation = document["paths"].get(path, {}).get(question.get("method", "GET").lower())
    if operation is None:
        return ["the document does not have it"]
    described = operation["responses"].get(str(status))
    if described is None:
        return [f"{status} is none of {sorted(operation['responses'])}"]
    content = described.get("content")
    if content is None:
        return [f"it has a body of {len(body)} bytes"] if body else []
    found = headers.get("content-type", "")
    same = [described for name, described in content.items() if name.replace(" ", "") == found.replace(" ", "")]
    if not same:
        return [f"{found} is none of {sorted(content)}"]
    required = [name for name, header in described.get("headers", {}).items() if header.get("required")]
    problems = [f"the header {name} is missing" for name in required if name not in headers]
    schema = same[0]["schema"]
    if not found.startswith("application/json"):
        return problems
    resource = Resource.from_contents(closed(document), default_specification=DRAFT202012)
    registry = Registry().with_resource("urn:document", resource)
    rooted = json.loads(json.dumps(schema).replace('"#/', '"urn:document#/'))
    validator = OAS31Validator(rooted, registry=registry)
    return problems + [f"{error.json_path}: {error.message}" for error in validator.iter_errors(json.loads(body))]


def main():
    url = sys.argv[1]
    _, _, body = ask(url, {"path": "/v1/openapi.json"})
    document = json.loads(body)
    OpenAPIV31SpecValidator(document).validate()
    questions = json.load(sys.stdin)
    answered = []
    for question in questions:
        status, headers, body = ask(url, question)
        answered.append((question["path"].split("?")[0], question.get("method", "GET").lower(), status))
        for problem in problems_of(document, question, status, headers, body):
            print(f"{question.get('method', 'GET')} {question['path']}: {status}: {problem}")
    for path, methods in document["paths"].items():
        for method in methods:
            if (path, method, 200) not in answered:
                print(f"{method.upper()} {path}: no question was answered with 200")


if __name__ == "__main__":
    main()
