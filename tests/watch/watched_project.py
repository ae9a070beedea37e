"""A small project for the service's tests, and a branch that its folder follows."""

import subprocess
from pathlib import Path

HEADER = "과제번호,기관명,유형,신청수량(H100),공급사,배정GPU,배정수량,시작일,종료일"
VALID = "A-1,한빛대학교,2,8,삼성SDS,H100,8,2026-01-01,2026-06-30"
MORE = "A-2,누리테크,1,4,삼성SDS,H100,4,2026-01-01,2026-03-31"
INVALID = "A-3,가온,1,네 개,삼성SDS,H100,4,2026-04-01,2026-06-30"
STACK = """config:
  gpuprov:cluster:
    context: there
    aliases: [삼성SDS]
    pools:
      - {model: H100, capacity: 16, nodeLabel: {gpu: 'yes'}}
"""


def make_project(root: Path) -> Path:
    """Write a valid project with one award."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "Pulumi.yaml").write_text(
        "name: gpuprov\nruntime: python\nconfig:\n  awards: [list.csv]\n", encoding="utf-8"
    )
    (root / "Pulumi.samsung-sds.yaml").write_text(STACK, encoding="utf-8")
    write_list(root, VALID)
    return root


def write_list(root: Path, *rows: str) -> None:
    (root / "list.csv").write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")


def git(folder: Path, *words: str) -> str:
    """Run git in a folder, whatever the user's own settings are."""
    identity = ("-c", "user.name=kim", "-c", "user.email=kim@example.org", "-c", "init.defaultBranch=main")
    done = subprocess.run(["git", "-C", folder, *identity, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path, message: str) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "--quiet", "-m", message)
    return git(folder, "rev-parse", "HEAD")
