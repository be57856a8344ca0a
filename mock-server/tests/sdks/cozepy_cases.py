"""cozepy judges the mock: `python cozepy_cases.py < info.json`, info being the mock's first line."""

import json
import logging
import sys
from importlib.metadata import version

import cozepy_async
import cozepy_flows
import cozepy_refusals
from mock_case import Mock, run_cases

if __name__ == "__main__":
    logging.disable(logging.WARNING)  # the SDK logs each refusal; the cases judge them
    cases = cozepy_flows.CASES + cozepy_async.CASES + cozepy_refusals.CASES
    failed = run_cases(cases, Mock(json.load(sys.stdin)), f"cozepy {version('cozepy')}")
    sys.exit(1 if failed else 0)
