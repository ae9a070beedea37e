"""One provider's job on several stacks: what each of them is given, and which are run."""

from pathlib import Path

from strategies import MARCH, cluster, tenant

from gpuprov.core.outputs import Origin
from gpuprov.run import stacks
from gpuprov.run.job import Job, Reclaim

SPLIT = cluster("samsung-sds", H100=200, A100=80).model_copy(update={"shards": 3})
MANY = [f"A{number}" for number in range(30)]


def in_stack(stack):
    return [name for name in MANY if SPLIT.stack_of(name) == stack]


def split_job(tenants, *, reclaim=(), recorded=None, **fields):
    changed = sorted({*tenants, *reclaim} if fields.get("changed") is None else fields.pop("changed"))
    return Job(
        root=Path("project"),
        project="gpuprov",
        at=MARCH,
        cluster=SPLIT,
        cluster_uid="uid",
        origin=Origin(providers=("samsung-sds",), ledger={"events": 0, "sha256": ""}),
        tenants=tuple(tenant(name, 1, SPLIT) for name in tenants),
        recorded={name: {} for name in (recorded or ())},
        changed=tuple(changed),
        stacks=("samsung-sds", "samsung-sds.1"),
        reclaim=tuple(Reclaim(award_id=n, namespace=f"gpu-{n.lower()}", model="H100", gpus=1) for n in reclaim),
        **fields,
    )


def stack_runs(job, stuck=(), postponed=()):
    changed = set(job.changed) - set(stuck) - set(postponed)
    parts = stacks.split(job, changed, set(stuck), set(postponed))
    return {part.stack: stacks.stack_run(job, part) for part in parts}


def test_each_stack_gets_its_own_awards():
    made = stack_runs(split_job(MANY))
    assert {stack: [tenant.award_id for tenant in run.tenants] for stack, run in made.items()} == {
        stack: in_stack(stack) for stack in SPLIT.stacks
    }
    assert {stack: run.exists for stack, run in made.items()} == {
        "samsung-sds": True,
        "samsung-sds.1": True,
        "samsung-sds.2": False,
    }
    for stack, run in made.items():
        assert (run.changed, run.recorded.keys()) == (None, set(in_stack(stack)))


def test_only_stacks_whose_awards_differ_are_run():
    (changed,) = in_stack("samsung-sds.1")[:1]
    made = stack_runs(split_job(MANY, recorded=MANY, changed=[changed]))
    assert [stack for stack, run in made.items() if run] == ["samsung-sds.1"]
    assert made["samsung-sds.1"].changed == (changed,)
    assert made["samsung-sds.1"].recorded.keys() == set(in_stack("samsung-sds.1"))


def test_the_last_award_of_a_stack_takes_all_of_it():
    last = in_stack("samsung-sds.2")[0]
    made = stack_runs(split_job([], reclaim=[last], recorded=[last]))
    assert {stack: run.changed for stack, run in made.items() if run} == {"samsung-sds.2": None}
    other = in_stack("samsung-sds.1")[0]
    stays = stack_runs(split_job([other], reclaim=[last], recorded=[last, other], changed=[last]))
    assert [stack for stack, run in stays.items() if run] == ["samsung-sds.2"]


def test_a_stuck_award_keeps_its_stack():
    stuck, gone = in_stack("samsung-sds.1")[0], in_stack("samsung-sds.2")[0]
    made = stack_runs(split_job([], reclaim=[stuck, gone], recorded=[stuck, gone]), stuck=[stuck])
    assert [stack for stack, run in made.items() if run] == ["samsung-sds.2"]
