"""Whatever people and servers do, and in which order: no event that was offered to an endpoint is lost."""

from collections.abc import Callable
from datetime import timedelta
from random import Random

import pytest

from domain.integration.webhook_endpoint import (
    ChangeWebhook,
    PauseWebhook,
    RedriveWebhook,
    ResumeWebhook,
    RotateWebhookSecret,
    WebhookStatus,
)
from tests.domain.webhook_world import World


def _step(world: World, random: Random) -> None:
    steps: list[Callable[[], None]] = [
        world.event,
        world.event,
        lambda: world.end(well=True, most=0),
        lambda: world.end(well=False, most=random.randrange(3)),
        lambda: world.end(well=False, most=random.randrange(3), lost=True),
        lambda: world.pass_time(timedelta(seconds=random.choice([1, 20, 4_000]))),
        lambda: world.say(PauseWebhook(endpoint_id="shop")),
        lambda: world.say(ResumeWebhook(endpoint_id="shop")),
        lambda: world.say(ResumeWebhook(endpoint_id="shop")),
        lambda: world.say(RedriveWebhook(endpoint_id="shop")),
        lambda: world.say(ChangeWebhook(endpoint_id="shop", url=f"https://{random.randrange(9)}.example")),
        lambda: world.say(RotateWebhookSecret(endpoint_id="shop", sealed="AQ==")),
    ]
    world.asks_fail = random.random() < 0.1
    random.choice(steps)()
    world.asks_fail = False


@pytest.mark.parametrize("first", range(0, 400, 50))
def test_what_was_offered_is_sent_or_said_to_wait(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domain.integration.decide_webhook.MAX_ATTEMPTS", 2)
    for seed in range(first, first + 50):
        world, random = World(), Random(seed)
        for _ in range(random.randrange(60)):
            _step(world, random)
        world.settle()
        missing = world.offered - world.taken
        endpoint = world.endpoint
        if endpoint.status is WebhookStatus.ACTIVE:
            assert missing <= set(endpoint.given_up), seed
            assert not endpoint.waits, seed
        else:
            behind = {at for at in missing if endpoint.after is not None and at > endpoint.after}
            assert missing <= behind | {*endpoint.redo, *endpoint.given_up}, seed
        world.say(ResumeWebhook(endpoint_id="shop"))
        world.settle()
        world.say(RedriveWebhook(endpoint_id="shop"))
        world.settle()
        assert world.taken == world.offered, seed


def test_what_comes_while_the_delivery_after_a_pause_goes_on_is_sent() -> None:
    world = World()
    world.say(PauseWebhook(endpoint_id="shop"))
    for _ in range(3):
        world.event()
    world.say(ResumeWebhook(endpoint_id="shop"))
    world.event()
    world.event()
    world.settle()
    assert world.taken == world.offered
