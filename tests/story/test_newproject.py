"""A new project: its files are a valid project whatever pools it has, and they are written all or not at all."""

import errno
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from projects import REPOSITORY

from gpuprov.core.award import quantity_breaches
from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.steps import Terms
from gpuprov.errors import InputError
from gpuprov.load.packaged import packaged, programmes
from gpuprov.load.programme import default_programme, read_programme
from gpuprov.load.project import open_project
from gpuprov.preflight import nodes
from gpuprov.run import creating
from gpuprov.run.creating import create, in_the_way
from gpuprov.run.loading import load
from gpuprov.run.newfile import NewFile
from gpuprov.run.newproject import NewPool, NewProject, paths_of, renewable
from gpuprov.run.offers import pools_of
from gpuprov.run.renewing import NOTE, Own, Renewal, renew

PROGRAMMES = [*programmes().values(), *sorted((REPOSITORY / "examples/programmes").glob("*/programme.yaml"))]
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=30)


def made_of(path, pools, **settings):
    """Return a project on one supplier; ``pools`` are GPUs by model."""
    programme = read_programme(path)
    written = [NewPool(model=model, gpus=gpus, label="gpu", value=model).configuration for model, gpus in pools.items()]
    cluster = ProviderCluster.model_validate(
        {"provider": "kt-cloud", "context": "kt", "pools": written} | settings,
        context=Terms(zone=programme.zone, resources=programme.resources),
    )
    text = path.read_text(encoding="utf-8")
    return NewProject(name="mine", programme=programme, programme_text=text, clusters=(cluster,), virtualenv=True)


def write(folder, files):
    create(folder, files, None, ".venv")
    return folder


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("path", PROGRAMMES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_files_are_a_valid_project_with_an_award_in_each_pool(path, tmp_path):
    project = made_of(path, dict.fromkeys(read_programme(path).resources, 64))
    loaded = load(open_project(write(tmp_path / "mine", project.files)))
    assert loaded.warnings == () or path.parent.name == "2026-h1"  # its second call has a list of its own
    assert loaded.excesses == ()
    assert loaded.project.programme == project.programme
    assert [history.award.model for history in loaded.histories] == [pool.model for pool in project.clusters[0].pools]
    assert loaded.events == ()


def _fits(programme, model, gpus):
    """Tell whether any quantity of any track makes an award of so many GPUs or fewer, by trying them all."""
    return any(
        not list(quantity_breaches(track.name, applied, model, quantity, programme))
        for track in programme.tracks
        for quantity in range(1, gpus + 1)
        for applied in range(1, gpus + 1)
    )


@settings(max_examples=25)
@given(path=st.sampled_from(PROGRAMMES), data=st.data())
def test_the_sample_list_never_exceeds_a_pool_or_there_is_none(path, data):
    models = list(read_programme(path).resources)
    pools = data.draw(st.dictionaries(st.sampled_from(models), st.integers(0, 20), min_size=1))
    project = made_of(path, pools)
    if not any(_fits(project.programme, model, gpus) for model, gpus in pools.items()):
        with pytest.raises(InputError, match="--pool no award of the programme"):
            project.files  # noqa: B018 (it is computed)
        return
    files = project.files
    with TemporaryDirectory() as folder:
        loaded = load(open_project(write(Path(folder) / "mine", files)))
    assert loaded.excesses == ()
    assert loaded.histories != ()


@settings(max_examples=40)
@given(context=TEXTS, value=TEXTS)
@example(context="true", value="1_000")
@example(context="a: b # c", value="'$name")
@example(context="2026-01-01", value="null")
def test_a_stack_file_says_what_it_was_made_of(context, value):
    pool = NewPool(model="H200", gpus=8, label="gpu", value=value)
    programme = default_programme()
    terms = Terms(zone=programme.zone, resources=programme.resources)
    settings = {"context": context, "adminContext": value, "uid": "7", "pools": [pool.configuration]}
    cluster = ProviderCluster.model_validate({"provider": "kt-cloud", **settings}, context=terms)
    project = NewProject(name="mine", programme=programme, programme_text="", clusters=(cluster,), virtualenv=True)
    written = yaml.safe_load(project.files["stacks/Pulumi.kt-cloud.yaml"].text)
    assert written == {"config": {"mine:cluster": settings | {"aliases": []}}}


def test_the_program_and_the_policy_pack_are_those_of_the_repository():
    files = made_of(PROGRAMMES[0], {"H200": 8}).files
    kept = [name for name in files if name.startswith("policies/") or name == "stacks/__main__.py"]
    assert len(kept) == 7
    for name in kept:
        assert files[name].text == (REPOSITORY / name).read_text(encoding="utf-8")
        assert files[name].executable == os.access(REPOSITORY / name, os.X_OK)
    assert packaged("charts/gpu-cluster/Chart.yaml").is_file()


def test_the_paths_are_known_before_the_files_are():
    project = made_of(PROGRAMMES[0], {"H200": 8})
    assert sorted(paths_of(project.programme, ("kt-cloud",))) == sorted(project.files)


def test_without_a_virtual_environment_pulumi_is_told_of_none():
    project = made_of(PROGRAMMES[0], {"H200": 8})
    bare = NewProject(
        name="mine", programme=project.programme, programme_text="", clusters=project.clusters, virtualenv=False
    )
    options = [yaml.safe_load(made.files["Pulumi.yaml"].text)["runtime"]["options"] for made in (project, bare)]
    assert options == [{"toolchain": "pip", "virtualenv": ".venv"}, {"toolchain": "pip"}]


# Pools from nodes


def node(name, product, gpus, **spec):
    ready = [{"type": "Ready", "status": "True"}]
    labels = {} if product is None else {"nvidia.com/gpu.product": product}
    status = {"allocatable": {"nvidia.com/gpu": str(gpus), "cpu": "8"}, "conditions": ready}
    return {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": status}


def offered(*live):
    return pools_of(nodes.read(live), default_programme())


def test_pools_are_the_gpus_that_can_be_scheduled_by_product():
    offer = offered(
        node("h1", "NVIDIA-H100-80GB-HBM3", 8),
        node("h2", "NVIDIA-H100-80GB-HBM3", 7),
        node("a1", "NVIDIA-A100-SXM4-80GB", 4),
        node("cpu", None, 0),
    )
    label = "nvidia.com/gpu.product"
    assert offer.pools == (
        NewPool(model="A100", gpus=4, label=label, value="NVIDIA-A100-SXM4-80GB"),
        NewPool(model="H100", gpus=15, label=label, value="NVIDIA-H100-80GB-HBM3"),
    )
    assert offer.remarks == ()


def test_what_is_left_out_is_told():
    offer = offered(
        node("h1", "NVIDIA-H200", 8),
        node("h2", "NVIDIA-H200", 8, unschedulable=True),
        node("l1", "NVIDIA-L40S", 4),
        node("s1", "NVIDIA-H200-SHARED", 80),
        node("a1", "NVIDIA-A100-SXM4-80GB", 8),
        node("a2", "NVIDIA-A100-SXM4-40GB", 8),
    )
    assert [(pool.model, pool.gpus) for pool in offer.pools] == [("H200", 8)]
    doubled = "A100 is in no pool: a pool has one label, and its nodes have nvidia.com/gpu.product"
    assert offer.remarks == (
        "NVIDIA-H200-SHARED is no accelerator of the programme; its nodes are in no pool",
        "NVIDIA-L40S is no accelerator of the programme; its nodes are in no pool",
        "not counted, because no pod comes there: h2",
        f"{doubled} NVIDIA-A100-SXM4-40GB, NVIDIA-A100-SXM4-80GB",
    )


# Writing


FILES = {"Pulumi.yaml": NewFile(text="p"), "a": NewFile(text="a"), "d/e/x": NewFile(text="x", executable=True)}


def test_a_new_folder_appears_with_everything_in_it(tmp_path):
    folder = tmp_path / "above" / "mine"
    create(folder, FILES, tmp_path, "link")
    assert tree(tmp_path / "above") == [
        "mine",
        *(f"mine/{name}" for name in ("Pulumi.yaml", "a", "d", "d/e", "d/e/x", "link")),
    ]
    assert (os.access(folder / "d/e/x", os.X_OK), os.access(folder / "a", os.X_OK)) == (True, False)
    assert (folder / "link").readlink() == tmp_path


def test_an_environment_that_is_there_is_kept(tmp_path):
    (tmp_path / "link").mkdir()
    create(tmp_path, FILES, Path("/nowhere"), "link")
    assert not (tmp_path / "link").is_symlink()


def test_everything_in_the_way_is_told_at_once_and_nothing_written(tmp_path):
    (tmp_path / "a").symlink_to("nowhere")
    (tmp_path / "d").write_text("a file")
    (tmp_path / "Pulumi.yaml").mkdir()
    with pytest.raises(InputError) as caught:
        create(tmp_path, FILES, tmp_path, "link")
    assert [problem.file for problem in caught.value.problems] == [
        str(tmp_path / name) for name in ("Pulumi.yaml", "a", "d")
    ]
    assert tree(tmp_path) == ["Pulumi.yaml", "a", "d"]
    assert in_the_way(tmp_path / "elsewhere", FILES) == []


@pytest.mark.parametrize("there", [True, False], ids=["in a folder", "in a new folder"])
@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=["full", "^C"]
)
def test_what_fails_midway_leaves_nothing(tmp_path, monkeypatch, there, error):
    folder = tmp_path / "mine"
    if there:
        (folder / "d").mkdir(parents=True)
        (folder / "d/own").write_text("own")
    before = tree(tmp_path)
    chmod = Path.chmod

    def fail(path, mode):
        chmod(path, mode)
        raise error

    monkeypatch.setattr(creating.Path, "chmod", fail)
    expected = InputError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        create(folder, FILES, tmp_path, "link")
    assert tree(tmp_path) == before


@pytest.fixture
def project(tmp_path):
    """A new project, and its files that are gpuprov's own."""
    return write(tmp_path / "mine", made_of(PROGRAMMES[0], {"H100": 64}).files)


def next_version(*paths):
    """Return gpuprov's own files as another version might have them: with a line more in these."""
    return {
        path: (NewFile(text=f"{file.text}# more\n" if path in paths else file.text, executable=file.executable), origin)
        for path, (file, origin) in renewable().items()
    }


def contents(folder):
    return {name: (folder / name).read_bytes() for name in tree(folder) if (folder / name).is_file()}


def test_a_new_project_has_nothing_to_renew(project):
    before = contents(project)
    assert renew(project, renewable()) == Renewal(renewed=(), current=tuple(renewable()), own=())
    assert contents(project) == before


def test_what_is_as_it_was_written_is_renewed_once_and_nothing_else_is_touched(project):
    before = contents(project)
    ours = next_version("policies/setup", "stacks/__main__.py")
    (project / "policies" / "setup").chmod(0o644)  # as some file systems do
    assert set(renew(project, ours).renewed) == {"policies/setup", "stacks/__main__.py"}
    after = contents(project)
    assert {name for name in after if after[name] != before[name]} == {"policies/setup", "stacks/__main__.py", NOTE}
    assert after["policies/setup"] == ours["policies/setup"][0].text.encode()
    assert os.access(project / "policies" / "setup", os.X_OK)
    assert renew(project, ours).renewed == ()
    assert contents(project) == after
    assert renew(project, next_version("policies/setup", ".gitignore")).renewed == (".gitignore", "stacks/__main__.py")


def test_what_somebody_changed_stays_with_the_command_that_compares(project):
    changed = project / "policies" / "given.py"
    changed.write_text("own = 1\n", encoding="utf-8")
    other = project / "policies" / "setup"
    other.unlink()
    other.symlink_to("given.py")
    done = renew(project, next_version("policies/given.py", "policies/setup", "policies/__main__.py"))
    assert done.renewed == ("policies/__main__.py",)
    compare = f"diff {packaged('policies/given.py')} {changed}"
    assert Own(path="policies/given.py", compare=compare) in done.own
    assert [own.path for own in done.own] == ["policies/given.py", "policies/setup"]
    assert (changed.read_text(encoding="utf-8"), other.is_symlink()) == ("own = 1\n", True)
    changed.write_text(renewable()["policies/given.py"][0].text, encoding="utf-8")  # taken back: gpuprov's again
    assert "policies/given.py" in renew(project, next_version("policies/given.py")).renewed


def test_a_file_that_is_missing_is_written_and_a_folder_that_was_removed_is_not(project):
    (project / "stacks" / "__main__.py").unlink()
    for path in (project / "policies").iterdir():
        path.unlink()
    (project / "policies").rmdir()
    done = renew(project, renewable())
    assert (done.renewed, done.own) == (("stacks/__main__.py",), ())
    assert not (project / "policies").exists()


def test_other_ends_of_lines_are_no_change(project):
    path = project / "policies" / "PulumiPolicy.yaml"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert renew(project, renewable()).own == ()
    assert renew(project, next_version("policies/PulumiPolicy.yaml")).renewed == ("policies/PulumiPolicy.yaml",)


def test_without_a_note_only_what_is_gpuprovs_to_the_letter_counts_as_its_own(project):
    (project / NOTE).unlink()
    (project / ".gitignore").write_text("*.kubeconfig\n", encoding="utf-8")
    assert [own.path for own in renew(project, renewable()).own] == [".gitignore"]
    assert renew(project, next_version("policies/setup")).renewed == ("policies/setup",)


def test_an_interrupted_renewal_is_finished_by_the_next(project):
    before = (project / NOTE).read_bytes()
    ours = next_version("policies/setup", "policies/given.py")
    renew(project, ours)
    (project / NOTE).write_bytes(before)
    (project / "policies" / "given.py").write_text(renewable()["policies/given.py"][0].text, encoding="utf-8")
    assert (renew(project, ours).renewed, renew(project, ours).own) == (("policies/given.py",), ())


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": 1}'])
def test_a_damaged_note_is_told(project, text):
    (project / NOTE).write_text(text, encoding="utf-8")
    before = contents(project)
    with pytest.raises(InputError, match="is not gpuprov's note on its files; restore it from git, or delete it"):
        renew(project, next_version("policies/setup"))
    assert contents(project) == before
