"""cozepy judges the mock: `run.py` starts it, and says on standard input what the mock and its worlds are."""

import json
import sys
from importlib.metadata import version

import cozepy_async
import cozepy_flows
import cozepy_refusals
from mock_case import judge

if __name__ == "__main__":
    cases = cozepy_flows.CASES + cozepy_async.CASES + cozepy_refusals.CASES
    failed = judge(cases, json.load(sys.stdin), f"cozepy {version('cozepy')}")
    sys.exit(1 if failed else 0)
