"""The service keeps one loop for each provider of the project as it was last valid, and says how it fares."""

import time
from datetime import timedelta

import pytest
from strategies import MARCH, SEOUL
from watched_project import INVALID, MORE, STACK, VALID, commit, git, make_project, write_list

from gpuprov.run.pace import STUCK_SECONDS
from gpuprov.run.watch import service as module
from gpuprov.run.watch.branch import Branch
from gpuprov.run.watch.metrics import View
from gpuprov.run.watch.rounds import Settings
from gpuprov.run.watch.service import Watch

MINUTE = timedelta(minutes=1)


class Loop:
    """A loop that does nothing; it notes what the service does with it."""

    def __init__(self, cluster):
        self.provider = cluster.provider
        self.cluster = cluster
        self.did = []
        self.alive = True
        self.beat = time.monotonic()
        self.leader = self
        self.leads = True
        self.has_stood = True
        self.error = ""

    def wake(self):
        self.did.append("wake")

    def stop(self):
        self.did.append("stop")

    def join(self):
        self.did.append("join")


@pytest.fixture
def root(tmp_path):
    return make_project(tmp_path / "project")


@pytest.fixture
def watch(root, monkeypatch):
    """The service, with the loops that it has begun."""
    made = Watch(root=root, settings=Settings(interval=MINUTE, timeout=1.0), now=lambda: MARCH)
    made.begun = []
    monkeypatch.setattr(Watch, "_begin", lambda self, cluster: made.begun.append(Loop(cluster)) or made.begun[-1])
    return made


def value(watch, name, **labels):
    return watch.metrics.registry.get_sample_value(name, labels)


def add_supplier(root, alias="KT", capacity=16):
    text = STACK.replace("삼성SDS", alias).replace("context: there", "context: kt").replace("16", str(capacity))
    (root / "Pulumi.kt-cloud.yaml").write_text(text, encoding="utf-8")


def test_every_provider_has_a_loop_and_each_change_of_the_files_wakes_it(watch, root):
    watch.refresh()
    watch.refresh()
    assert [(loop.provider, loop.did) for loop in watch.begun] == [("samsung-sds", [])]
    write_list(root, VALID, MORE)
    watch.refresh()
    add_supplier(root)
    watch.refresh()
    assert [(loop.provider, loop.did) for loop in watch.begun] == [("samsung-sds", ["wake", "wake"]), ("kt-cloud", [])]


def test_a_provider_that_is_another_one_now_begins_anew_and_one_that_is_gone_ends(watch, root):
    add_supplier(root)
    watch.refresh()
    (kt,) = [loop for loop in watch.begun if loop.provider == "kt-cloud"]
    add_supplier(root, capacity=8)
    watch.refresh()
    assert kt.did == ["stop", "join"]
    assert [loop.cluster.pools[0].capacity for loop in watch.begun if loop.provider == "kt-cloud"] == [16, 8]
    (root / "Pulumi.kt-cloud.yaml").unlink()
    watch.refresh()
    assert watch.begun[-1].did == ["stop", "join"]


def test_an_invalid_list_wakes_nobody_and_ends_nothing(watch, root):
    watch.refresh()
    assert (value(watch, "gpuprov_list_valid"), value(watch, "gpuprov_awards", state="active")) == (1, 1)
    write_list(root, VALID, INVALID)
    watch.refresh()
    assert [loop.did for loop in watch.begun] == [[]]
    assert (value(watch, "gpuprov_list_valid"), value(watch, "gpuprov_awards", state="active")) == (0, 1)
    assert [line for line in watch.not_ready() if "list.csv:3" in line]


def test_where_nothing_was_ever_valid_it_waits(watch, root):
    write_list(root, INVALID)
    watch.refresh()
    assert (watch.begun, value(watch, "gpuprov_awards", state="active")) == ([], 0)
    assert [line for line in watch.not_ready() if "list.csv:2" in line]
    write_list(root, VALID)
    watch.refresh()
    assert [loop.provider for loop in watch.begun] == ["samsung-sds"]


def test_it_is_ready_once_every_provider_that_it_leads_was_read(watch, monkeypatch):
    assert watch.not_ready() == ["nothing was read yet"]
    keep, meanwhile = Watch._keep_loops, []
    monkeypatch.setattr(
        Watch, "_keep_loops", lambda self, loaded: meanwhile.extend(self.not_ready()) or keep(self, loaded)
    )
    watch.refresh()
    assert meanwhile == ["nothing was read yet"]  # a probe that comes before the loops are there
    (loop,) = watch.begun
    loop.has_stood = False
    assert watch.not_ready() == ["samsung-sds: it is not known yet which replica leads (asking)"]
    loop.error = "the API server does not answer"
    assert watch.not_ready() == [f"samsung-sds: it is not known yet which replica leads ({loop.error})"]
    loop.has_stood = True
    assert watch.not_ready() == ["samsung-sds: not read yet"]
    for age, complaints in ((3 * MINUTE, []), (4 * MINUTE, ["samsung-sds: last read 0:04:00 ago"])):
        watch.metrics.views.views["samsung-sds"] = View(at=MARCH - age, pools=(), changes={})
        assert watch.not_ready() == complaints
        age_told = value(watch, "gpuprov_last_good_look_age_seconds", provider="samsung-sds")
        assert age_told == age.total_seconds()
    loop.leads = False
    assert watch.not_ready() == []


def test_it_lives_as_long_as_its_loops_do(watch):
    watch.refresh()
    assert watch.complaints() == []
    (loop,) = watch.begun
    loop.beat -= STUCK_SECONDS + 1
    assert watch.complaints() == []  # it may have slept for an interval before that
    loop.beat -= MINUTE.total_seconds()
    assert [line.partition(":")[0] for line in watch.complaints()] == ["samsung-sds"]
    loop.beat, loop.alive = time.monotonic(), False
    assert len(watch.complaints()) == 1


def test_it_ends_every_loop_and_all_at_once(watch, root, monkeypatch):
    add_supplier(root)
    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)
    order = []
    monkeypatch.setattr(Loop, "stop", lambda self: order.append(("stop", self.provider)))
    monkeypatch.setattr(Loop, "join", lambda self: order.append(("join", self.provider)))
    seen = []
    monkeypatch.setattr(Watch, "refresh", counted(Watch.refresh, seen, watch.stopping))
    watch.run()
    assert [what for what, _ in order] == ["stop", "stop", "join", "join"]


def counted(refresh, seen, stopping):
    def once_more(self):
        refresh(self)
        seen.append(1)
        if len(seen) == 3:
            stopping.set()

    return once_more


def test_only_the_providers_that_were_named_are_watched(watch, root):
    add_supplier(root)
    watch.providers = ("kt-cloud",)
    watch.refresh()
    assert [loop.provider for loop in watch.begun] == ["kt-cloud"]


def test_a_branch_that_cannot_be_followed_is_counted_and_the_folder_goes_on(watch, root, tmp_path):
    git(root, "init", "--quiet")
    commit(root, "The list")
    watch.branch = Branch(root)
    watch.refresh()
    assert value(watch, "gpuprov_errors_total", provider="", kind="branch") == 1
    assert [loop.provider for loop in watch.begun] == ["samsung-sds"]
    watch.refresh()
    assert value(watch, "gpuprov_errors_total", provider="", kind="branch") == 1  # not before another interval


def test_the_next_edge_is_told(watch):
    watch.refresh()
    midnight = MARCH.replace(month=7, day=1, hour=0)
    assert midnight.tzinfo is SEOUL
    assert value(watch, "gpuprov_next_edge_timestamp_seconds") == midnight.timestamp()
