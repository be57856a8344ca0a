"""A login that has to last: expiry, refused refreshes, gateways and broken connections."""

from urllib.parse import parse_qs, urlsplit

import pytest
from coze_auth_mock import Expect, Fault, On, RequestFilter
from coze_session import LoginNeeded, Session, TryLater

CALLBACK = "https://app.example/callback"
REFRESH = On.grant("refresh_token")


@pytest.fixture
def saved():
    return []


@pytest.fixture
def session(coze_world, web, saved):
    redirect = coze_world.authorize(web.get_oauth_url(CALLBACK))
    code = parse_qs(urlsplit(redirect).query)["code"][0]
    return Session(web, web.get_access_token(CALLBACK, code), saved.append)


def test_a_token_is_renewed_before_it_ends_and_stored_first(coze_world, session, saved):
    first = session.access_token()
    assert session.access_token() == first
    coze_world.verify(Expect.exactly(0, REFRESH))
    coze_world.clock.advance(15 * 60 - 30)
    second = session.access_token()
    assert second != first and saved[-1].access_token == second
    coze_world.verify(Expect.exactly(1, RequestFilter.on(REFRESH).status(200)))


def test_a_session_lasts_for_a_day(coze_world, session, saved):
    for _ in range(24 * 4):
        coze_world.clock.advance(15 * 60)
        session.access_token()
    assert len({token.refresh_token for token in saved}) == 96


def test_a_refresh_that_is_refused_needs_a_login(coze_world, session):
    coze_world.revoke(session._token.refresh_token)
    coze_world.clock.advance(15 * 60)
    with pytest.raises(LoginNeeded) as needed:
        session.access_token()
    assert coze_world.explain(str(needed.value)).rule == "refresh.revoked"


def test_a_page_of_a_gateway_is_not_a_refusal(coze_world, session):
    page = "<html><body>502 Bad Gateway</body></html>"
    coze_world.fault(REFRESH, Fault.status(502).body(page).header("content-type", "text/html").times(1))
    coze_world.clock.advance(15 * 60)
    with pytest.raises(TryLater, match="HTTP 502"):
        session.access_token()
    assert session.access_token()  # the refresh token was not spent


def test_a_connection_that_breaks_before_coze_has_acted_costs_nothing(coze_world, session):
    coze_world.fault(REFRESH, Fault.reset().times(1))
    coze_world.clock.advance(15 * 60)
    with pytest.raises(TryLater):
        session.access_token()
    assert session.access_token()


def test_an_answer_that_is_lost_costs_the_login(coze_world, session):
    coze_world.fault(REFRESH, Fault.reset().at("answer").times(1))
    coze_world.clock.advance(15 * 60)
    with pytest.raises(TryLater):
        session.access_token()
    with pytest.raises(LoginNeeded) as needed:  # the old refresh token is spent, and the new one never arrived
        session.access_token()
    assert coze_world.explain(str(needed.value)).rule == "refresh.rotate"
