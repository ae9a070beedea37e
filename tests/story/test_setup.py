"""Setting clusters up: which chart, which cluster, and what is told when it goes wrong."""

import pytest
from projects import REPOSITORY
from strategies import cluster

from gpuprov.engine import automation
from gpuprov.engine.messages import SetUp
from gpuprov.errors import InputError, PlanRefused
from gpuprov.run import byhand, setup
from gpuprov.run import chart as run_chart
from gpuprov.run.child import Answer


class Project:
    def __init__(self, root, *clusters):
        self.root = root
        self.clusters = clusters


def chart(root):
    folder = root / "charts" / "gpu-cluster"
    folder.mkdir(parents=True)
    (folder / "Chart.yaml").write_text("name: gpu-cluster\n", encoding="utf-8")
    return folder


def test_the_chart_is_the_projects_own_or_else_the_one_that_comes_with_gpuprov(tmp_path):
    assert run_chart.chart_of(tmp_path) == REPOSITORY / "charts" / "gpu-cluster"
    made = chart(tmp_path)
    assert run_chart.chart_of(tmp_path) == made


def test_an_installation_without_the_chart_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(run_chart, "packaged", lambda path: tmp_path / "nowhere" / path)
    with pytest.raises(InputError, match="the chart does not exist; install gpuprov again"):
        run_chart.chart_of(tmp_path)


def test_the_administrators_context_is_used_where_there_is_one():
    plain = cluster("samsung-sds", H100=8)
    assert (plain.setup_stack, plain.setup_context) == ("samsung-sds.setup", plain.context)
    own = plain.model_copy(update={"admin_context": "root"})
    assert (own.setup_context, own.administered.context, own.context) == ("root", "root", plain.context)


def test_another_cluster_than_the_pinned_one_is_left_alone(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(setup, "cluster_uid", lambda where: asked.append(where.context) or "new")
    monkeypatch.setattr(automation, "set_up", lambda *_: pytest.fail("it was set up"))
    pinned = cluster("samsung-sds", uid="pinned", H100=8).model_copy(update={"admin_context": "root"})
    with pytest.raises(PlanRefused, match="'root' leads to the cluster new, but the stack's configuration pins pinned"):
        setup.install(SetUp(root=tmp_path, cluster=pinned, chart=chart(tmp_path)))
    assert asked == ["root"]


def test_each_provider_asked_for_has_its_own_answer(tmp_path, monkeypatch):
    chart(tmp_path)
    here = Project(tmp_path, cluster("kt-cloud", H200=8), cluster("samsung-sds", H100=8), cluster("other", H100=8))
    errands = []

    def run_all(given):
        errands.extend(given)
        done = {"stack": "kt-cloud.setup", "operations": {"create": 19}, "error": None}
        return [Answer(outcome=done, code=0), Answer(outcome=None, code=-9)]

    monkeypatch.setattr(setup, "run_all", run_all)
    answers = setup.set_up(here, ["samsung-sds", "kt-cloud"], lambda *_: None)
    assert [errand.message.cluster.provider for errand in errands] == ["kt-cloud", "samsung-sds"]
    assert (answers["kt-cloud"].operations, answers["kt-cloud"].error) == ({"create": 19}, None)
    assert "ended with code -9" in answers["samsung-sds"].error


def test_by_hand_another_cluster_than_the_pinned_one_is_left_alone_too(tmp_path, monkeypatch):
    pinned = cluster("samsung-sds", uid="pinned", H100=8).model_copy(update={"admin_context": "root"})
    monkeypatch.setattr(byhand, "open_project", lambda root: Project(root, pinned))
    monkeypatch.setattr(byhand, "cluster_uid", lambda administered: "new")
    monkeypatch.setattr(byhand, "declare_chart", lambda *_: pytest.fail("it was declared"))
    with pytest.raises(PlanRefused, match="'root' leads to the cluster new, but the stack's configuration pins pinned"):
        byhand._run(tmp_path, pinned.setup_stack, preview=False).send(None)  # it awaits nothing before


def test_a_cluster_that_is_not_pinned_may_be_any():
    unpinned = cluster("samsung-sds", H100=8)
    assert (unpinned.pins_another("new"), unpinned.not_as_pinned("new")) == (False, None)
    pinned = cluster("samsung-sds", uid="pinned", H100=8)
    assert (pinned.pins_another("pinned"), pinned.not_as_pinned("pinned")) == (False, None)
