"""The pytest plugin, in runs of pytest of its own."""

import re

import pytest


def names(result):
    return re.findall(r"WORLD (\S+)", result.stdout.str())


def test_each_test_has_a_world_of_its_own_and_leaves_none(pytester):
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.parametrize("n", range(3))
        def test_world(coze_world, coze_auth_mock, n):
            print("WORLD", coze_world.name)
            assert coze_world.requests() == []
            assert coze_world.revoke("pat_mock_alice")
            assert [one["name"] for one in coze_auth_mock.control("GET", "/worlds")["worlds"]] == [coze_world.name]

        def test_none_is_left(coze_auth_mock):
            assert coze_auth_mock.control("GET", "/worlds")["worlds"] == []
        """
    )
    result = pytester.runpytest_inprocess("-s")
    result.assert_outcomes(passed=4)
    assert len(set(names(result))) == 3
    again = pytester.runpytest_inprocess("-s")
    assert names(again) == names(result), "with a seed its tokens are to be the same"


def test_names_are_of_their_tests_whatever_their_tests_are_called(pytester):
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.parametrize("text", ["a/b", "a b", "", "é" * 300, "::"])
        def test_any(coze_world, text):
            print("WORLD", coze_world.name)
            assert coze_world.requests() == []
        """
    )
    result = pytester.runpytest_inprocess("-s")
    result.assert_outcomes(passed=5)
    assert len(set(names(result))) == 5
    assert all(name.startswith("pytest-test-any") and len(name) <= 64 for name in names(result))


def test_a_mark_sets_the_world_up(pytester):
    pytester.makepyfile(
        test_it="""
        import pytest

        pytestmark = pytest.mark.coze_world(clock="2026-01-01T00:00:00Z")

        @pytest.mark.coze_world(config='[ttl]\\naccess = "20s"', port=0)
        def test_both(coze_world):
            assert coze_world.clock.now().isoformat() == "2026-01-01T00:00:00+00:00"
            assert coze_world.port_url

        @pytest.mark.coze_world(clock="2027-01-01T00:00:00Z")
        def test_the_nearest_counts(coze_world):
            assert coze_world.clock.now().year == 2027
        """
    )
    pytester.runpytest_inprocess("--strict-markers").assert_outcomes(passed=2)
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.coze_world("2026")
        def test_it(coze_world):
            pass
        """
    )
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the mark coze_world takes names: config=*"])


def test_options_of_the_mock_are_a_fixture(pytester):
    pytester.makeconftest(
        """
        import pytest

        @pytest.fixture(scope="session")
        def coze_auth_mock_options():
            return {"seed": 1, "config": "[clock]\\nmode = 'frozen'\\nstart = '2026-01-01T00:00:00Z'"}
        """
    )
    pytester.makepyfile(
        test_it="""
        def test_it(coze_world):
            assert coze_world.clock.now().year == 2026
        """
    )
    pytester.runpytest_inprocess().assert_outcomes(passed=1)


FAILING = """
import urllib.request
import pytest

def call(base, token):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(urllib.request.Request(f"{base}/v1/users/me", headers={"Authorization": f"Bearer {token}"})).close()
    except OSError:
        pass

@pytest.fixture
def base(coze_world):
    return coze_world.base_url

@pytest.fixture
def broken(base):
    call(base, "of-setup")
    raise RuntimeError("no set-up")

@pytest.fixture
def strict(coze_world):
    yield
    assert not coze_world.requests(), "at the end"

def test_call(base):
    call(base, "of-nobody")
    assert False, "by itself"

def test_setup(broken):
    pass

def test_the_mock_alone(coze_auth_mock):
    call(coze_auth_mock.base_url, "of-nobody")
    assert False

def test_passes(base):
    call(base, "of-nobody")

def test_without_a_mock():
    assert False

def test_teardown(base, strict):
    call(base, "of-nobody")
"""


def test_the_journal_is_in_the_report_of_a_test_that_fails(pytester):
    pytester.makepyfile(test_it=FAILING)
    result = pytester.runpytest_inprocess("-p", "no:randomly")
    result.assert_outcomes(passed=2, failed=3, errors=2)
    text = result.stdout.str()
    assert text.count("- coze-auth-mock journal -") == 4
    reports = re.split(r"^_{3,} (.*) _{3,}$", text, flags=re.M)
    by_title = dict(zip(reports[1::2], reports[2::2]))
    for title in ("test_call", "ERROR at setup of test_setup", "ERROR at teardown of test_teardown", "test_the_mock_alone"):
        report = by_title[title]
        assert "the last 1 of 1 requests to http://127.0.0.1:" in report, title
        assert "1 GET users_me 401 4100 rule=" in report and "logid=" in report, title
    assert "requests to http" not in by_title["test_without_a_mock"]


def test_a_mock_that_has_ended_is_told_in_the_report(pytester):
    pytester.makepyfile(
        test_it="""
        def test_it(coze_auth_mock, coze_world):
            coze_auth_mock.stop()
            assert False, "the reason"
        """
    )
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the reason*", "*the mock does not answer at*so it has ended*"])


def test_threads_that_run_one_test_have_a_world_each():
    from coze_auth_mock.pytest_plugin import _Names

    used = _Names()
    one, two = used.take("t.py::test_a", "test_a"), used.take("t.py::test_a", "test_a")
    assert two == f"{one}-2"
    used.give_back(one)
    assert used.take("t.py::test_a", "test_a") == one
    assert used.take("other.py::test_a", "test_a") not in (one, two)


def test_workers_of_xdist_have_a_mock_each(pytester, monkeypatch):
    pytest.importorskip("xdist")
    pytester.makepyfile(
        test_it="""
        import os
        import pytest

        @pytest.mark.parametrize("n", range(8))
        def test_world(coze_world, coze_auth_mock, n, worker_id):
            with open(os.path.join(os.environ["SEEN"], f"{worker_id}-{n}"), "w") as file:
                file.write(coze_auth_mock.base_url)
            assert coze_world.requests() == []
            assert coze_world.revoke("pat_mock_alice")

        def test_fails(coze_world):
            coze_world.authorize("http://localhost/authorize")
        """
    )
    seen = pytester.mkdir("seen")
    monkeypatch.setenv("SEEN", str(seen))
    result = pytester.runpytest_subprocess("-n", "2")
    result.assert_outcomes(passed=8, failed=1)
    assert "- coze-auth-mock journal -" in result.stdout.str()
    bases = {}
    for file in seen.iterdir():
        bases.setdefault(file.name.split("-")[0], set()).add(file.read_text())
    assert all(len(mocks) == 1 for mocks in bases.values())
    assert len(set.union(*bases.values())) == len(bases)
