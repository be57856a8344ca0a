"""What the fuzzer must not do, what it is helped with, and what it has seen. Schemathesis reads this file."""

import atexit
import collections
import itertools
import json
import os
import re

import schemathesis
from schemathesis import GenerationMode

KNOWN = json.loads(os.environ["OPENAPI_KNOWN"])
SEEN = set()
# Of each operation, so that another one does not change what this one is sent.
COUNTS = collections.defaultdict(itertools.count)


def is_whole(value):
    return re.fullmatch(r"[0-9]{1,20}", str(value)) is not None


@schemathesis.hook
def before_call(context, case, kwargs):
    """Changes values that are right alone: what is to be refused stays as it is."""
    n, query = next(COUNTS[case.operation.label]), case.query
    # Who waits could do so for a minute, or for ever.
    if any(parameter.name == "timeout_ms" for parameter in case.operation.query):
        if is_whole(query.get("timeout_ms", 0)):
            query["timeout_ms"] = 5
    if case.operation.path.endswith("/events") and is_whole(query.get("limit", 0)):
        query["limit"] = 0
    # The first world has something in it, which one that is made by being named has not.
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", str(query.get("world", ""))) and n % 4:
        del query["world"]
    # What exists can hardly be guessed.
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE or n % 2:
        return
    body = case.body if isinstance(case.body, dict) else {}
    for place in (case.path_parameters, query, body):
        for name in KNOWN.keys() & place.keys():
            place[name] = KNOWN[name][n // 2 % len(KNOWN[name])]


@schemathesis.hook
def after_call(context, case, response):
    SEEN.add((case.operation.label, response.status_code))


@atexit.register
def tell():
    with open(os.environ["OPENAPI_SEEN"], "a", encoding="utf-8") as file:
        for seen in sorted(SEEN):
            print(json.dumps(seen), file=file)
