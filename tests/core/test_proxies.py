"""Behaviour 5: who runs the agent?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from pmwatchd.core.model import (
    AgentResult,
    AsProxy,
    Host,
    PowerManagement,
    ProxyResult,
    ProxySource,
    Reply,
    Try,
)
from pmwatchd.core.proxies import (
    FORGET_AFTER_S,
    Neighbours,
    PathMemory,
    chain,
    complete,
    normalize,
    spellings,
)
from pmwatchd.core.rules import Fencing, Rules
from tests.core.scene import agent, host

BMC = agent()
RULES = Rules(fencing=Fencing(candidates_per_source=3), ssh_user="fence", ssh_port=2222)


def target(*proxies: str) -> Host:
    return host("node7", power_management=PowerManagement(agents=(BMC,), proxies=proxies))


def node(name: str, cluster: str = "blue", datacenter: str = "east", **more: object) -> Host:
    address = f"10.1.{len(name)}.{sum(map(ord, name)) % 250}"
    return host(name, cluster=cluster, datacenter=datacenter, address=address, **more)


SITE = [node("b1"), node("b2"), node("g1", "green"), node("w1", "west", "west")]


def names(
    proxies: tuple[str, ...],
    site: list[Host] = SITE,
    *,
    down: tuple[str, ...] = (),
    memory: PathMemory | None = None,
    load: dict[str, int] | None = None,
    without: tuple[str, ...] = (),
    now: float = 0.0,
) -> list[str]:
    watched = {one.name: one for one in [*site, target()]}
    eligible = {name: one for name, one in watched.items() if name not in down}
    neighbours = Neighbours(
        eligible=eligible,
        watched=watched,
        memory=memory or PathMemory(),
        called=spellings(watched),
        load=load or {},
    )
    found = chain(target(*proxies), BMC, neighbours, RULES, now, without=without)
    return [candidate.name for candidate in found]


@pytest.mark.parametrize(
    ("given", "completed"),
    [
        (("engine", "IP1", "IP2"), ("engine", "IP1", "IP2", "cluster", "dc")),
        (("IP1", "dc", "IP2"), ("IP1", "dc", "IP2", "engine", "cluster")),
        (("cluster", "dc"), ("cluster", "dc", "engine")),
        (("other_dc",), ("other_dc", "engine", "cluster", "dc")),
    ],
)
def test_missing_sources_are_appended_in_their_order(
    given: tuple[str, ...], completed: tuple[str, ...]
) -> None:
    assert complete(given, implicit=True) == completed


def test_nothing_is_appended_when_completion_is_switched_off() -> None:
    assert complete(("dc",), implicit=False) == ("dc",)


@pytest.mark.parametrize(
    ("word", "meant"),
    [(" Cluster ", "cluster"), ("DATACENTER", "dc"), ("Other_DC", "other_dc"), ("Node1", "Node1")],
)
def test_words_are_understood_in_any_case_and_names_are_kept(word: str, meant: str) -> None:
    assert normalize(word) == meant


def test_sources_are_walked_in_the_order_of_the_preferences() -> None:
    assert names(("cluster", "dc", "other_dc", "engine")) == ["b1", "b2", "g1", "w1", "engine"]
    assert names(("engine", "other_dc")) == ["engine", "w1"]


def test_the_target_is_never_its_own_proxy() -> None:
    assert "node7" not in names(("cluster", "dc", "node7"))


def test_only_hosts_that_are_up_and_may_serve_are_candidates() -> None:
    idle = node("b3", as_proxy=AsProxy(enabled=False))

    assert names(("cluster",), [*SITE, idle], down=("b1",)) == ["b2"]


def test_a_machine_stands_in_the_chain_once() -> None:
    assert names(("b2", "cluster", "dc")) == ["b2", "b1", "g1"]


def test_three_of_a_source_come_before_the_next_source_and_the_rest_last() -> None:
    site = [node(f"b{number}") for number in range(1, 6)] + [node("g1", "green")]

    assert names(("cluster", "dc"), site) == ["b1", "b2", "b3", "g1", "b4", "b5"]


def test_a_named_machine_is_found_by_name_or_address() -> None:
    assert names(("w1",)) == ["w1"]
    assert names((SITE[3].address,)) == ["w1"]


NODE7 = replace(
    target(),
    address="node7.example.org",
    as_proxy=AsProxy(address="fd00::7"),
)


def named(*words: str, host: Host = NODE7, site: list[Host], up: tuple[str, ...] = ()) -> list[str]:
    watched = {one.name: one for one in [host, *site]}
    neighbours = Neighbours(
        eligible={name: watched[name] for name in up},
        watched=watched,
        memory=PathMemory(),
        called=spellings(watched),
    )
    wanted = replace(host, power_management=PowerManagement(agents=(BMC,), proxies=words))
    return [one.name for one in chain(wanted, BMC, neighbours, RULES, 0.0)]


@pytest.mark.parametrize("word", ["NODE7", "Node7.Example.org", "node7.example.org.", "FD00:0::7"])
def test_the_target_is_not_its_own_proxy_in_any_spelling(word: str) -> None:
    assert named(word, "engine", site=[]) == ["engine"]


def test_a_target_that_left_the_inventory_is_not_its_own_proxy_either() -> None:
    neighbours = Neighbours(eligible={}, watched={}, memory=PathMemory())
    wanted = replace(
        NODE7, power_management=PowerManagement(agents=(BMC,), proxies=(NODE7.address,))
    )

    assert chain(wanted, BMC, neighbours, RULES, 0.0) == ()


@pytest.mark.parametrize("word", ["b9", "B9", "B9.example.org.", "10.9.0.9"])
def test_a_watched_machine_stands_in_the_chain_once_and_only_while_it_may_serve(word: str) -> None:
    serving = replace(node("b9"), address="b9.example.org", as_proxy=AsProxy(address="10.9.0.9"))

    assert named(word, "cluster", site=[serving], up=("b9",)) == ["b9"]
    assert named(word, "cluster", site=[serving]) == []


def test_a_machine_that_is_not_watched_stands_in_the_chain_once_in_any_spelling() -> None:
    assert named("Jump.example.org", "jump.example.org.", site=[]) == ["Jump.example.org"]


def test_a_machine_is_known_by_its_name_before_anothers_address() -> None:
    odd = replace(node("b1"), address="b2")

    assert named("b2", site=[odd, node("b2")], up=("b1", "b2")) == ["b2"]


def test_a_named_machine_that_is_watched_must_be_up_and_willing() -> None:
    assert names(("w1",), down=("w1",)) == []
    assert names(("b3",), [node("b3", as_proxy=AsProxy(enabled=False))]) == []


def test_a_named_machine_that_is_not_watched_needs_no_liveness() -> None:
    watched = {"node7": target()}
    neighbours = Neighbours(eligible={}, watched=watched, memory=PathMemory())
    (found,) = chain(target("jump.example.org"), BMC, neighbours, RULES, 0.0)

    assert (found.name, found.source) == ("jump.example.org", ProxySource.NAMED)
    assert (found.address, found.port, found.user) == ("jump.example.org", 2222, "fence")


def test_a_proxy_is_reached_as_its_host_says() -> None:
    serving = node("b9", as_proxy=AsProxy(user="ops", port=2200, address="10.9.9.9"))
    watched = {"b9": serving}
    neighbours = Neighbours(eligible=watched, watched=watched, memory=PathMemory())
    (found,) = chain(target("cluster"), BMC, neighbours, RULES, 0.0)

    assert (found.address, found.port, found.user) == ("10.9.9.9", 2200, "ops")


def test_the_machine_of_the_daemon_itself_is_the_engine() -> None:
    site = [node("b1", engine=True), node("b2")]

    assert names(("cluster", "engine"), site) == ["b2", "engine"]


def test_the_agents_own_preferences_win() -> None:
    own = replace(BMC, proxies=("engine",))
    watched = {one.name: one for one in SITE}
    neighbours = Neighbours(eligible=watched, watched=watched, memory=PathMemory())
    found = chain(target("cluster"), own, neighbours, RULES, 0.0)

    assert [candidate.name for candidate in found] == ["engine"]


def learned(proxy: str, result: AgentResult = AgentResult.OK, at: float = 0.0) -> PathMemory:
    memory = PathMemory()
    tried = Try(proxy=proxy, source=ProxySource.CLUSTER, result=ProxyResult.OK, answer=result)
    tries = (tried,)
    memory.learn(BMC, Reply(result=result, tries=tries), at)
    return memory


def test_a_path_that_worked_comes_first() -> None:
    assert names(("cluster",), memory=learned("b2")) == ["b2", "b1"]


def test_a_path_that_failed_comes_last_of_all_for_a_while() -> None:
    memory = learned("b1", AgentResult.UNREACHABLE)

    assert names(("cluster", "dc"), memory=memory) == ["b2", "g1", "b1"]
    assert names(("cluster", "dc"), memory=memory, now=FORGET_AFTER_S) == ["b1", "b2", "g1"]


def test_every_proxy_that_could_not_reach_the_device_is_remembered() -> None:
    memory = learned("b1", AgentResult.UNREACHABLE)
    both = Reply(
        result=AgentResult.OK,
        tries=(
            Try(
                proxy="b1",
                source=ProxySource.CLUSTER,
                result=ProxyResult.OK,
                answer=AgentResult.UNREACHABLE,
            ),
            Try(
                proxy="b2",
                source=ProxySource.CLUSTER,
                result=ProxyResult.OK,
                answer=AgentResult.OK,
            ),
        ),
    )
    memory.learn(BMC, both, 0.0)

    assert names(("cluster", "dc"), memory=memory) == ["b2", "g1", "b1"]


@pytest.mark.parametrize("known", [None, AgentResult.OK, AgentResult.UNREACHABLE])
def test_a_refused_password_changes_nothing_in_what_is_known_of_a_proxy(
    known: AgentResult | None,
) -> None:
    memory = PathMemory() if known is None else learned("b2", known)
    before = dict(memory.paths)
    tried = Try(
        proxy="b2",
        source=ProxySource.CLUSTER,
        result=ProxyResult.OK,
        answer=AgentResult.AUTH_ERROR,
    )
    memory.learn(BMC, Reply(result=AgentResult.AUTH_ERROR, tries=(tried,)), 1.0)

    assert memory.paths == before


def test_a_proxy_that_could_not_be_reached_comes_last() -> None:
    memory = PathMemory()
    tries = (Try(proxy="b1", source=ProxySource.CLUSTER, result=ProxyResult.UNREACHABLE),)
    memory.learn(BMC, Reply(result=AgentResult.NO_PROXY, tries=tries), 0.0)

    assert names(("cluster",), memory=memory) == ["b2", "b1"]


def test_the_least_loaded_comes_first_where_nothing_else_is_known() -> None:
    assert names(("cluster",), load={"b1": 4}) == ["b2", "b1"]


def test_a_proxy_that_lost_this_very_command_is_left_out() -> None:
    assert names(("cluster",), without=("b1",)) == ["b2"]
