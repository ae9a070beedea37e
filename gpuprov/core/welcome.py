"""The page for an awardee: what it has and until when, how to see what is left, a pod and a Job that run as they stand.

It is the ConfigMap `welcome` in the award's namespace, in both languages, because a cluster knows no reader; the
command `gpuprov kubeconfig` gives it along in the language in use. The pod and the Job keep every rule that an award's
namespace has (docs/isolation.md), and stay within the quota of a single GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpuprov.core.cluster import GpuPool, ProviderCluster
from gpuprov.core.tenant import Tenant

PAGES = {"en": "README.md", "ko": "README.ko.md"}
"""The key of the page in each language."""

POD = "pod.yaml"
JOB = "job.yaml"

_NVIDIA = "nvidia.com/"
_NVIDIA_IMAGE, _NVIDIA_COMMAND = "nvidia/cuda:12.6.3-base-ubuntu24.04", "nvidia-smi"
_IMAGE, _COMMAND = "busybox:1.37", "ls -l /dev"
"""What NVIDIA's runtime puts into every container with a GPU, and what any other device shows itself by."""

_MEMORY_GIB = 4
_DISK_GIB = 10
_NAME = "first-gpu"


def files(tenant: Tenant, cluster: ProviderCluster) -> dict[str, str]:
    """Return the page in each language, the pod and the Job, by file name."""
    facts = _Facts.of(tenant, cluster)
    return {
        PAGES["en"]: _english(facts),
        PAGES["ko"]: _korean(facts),
        POD: _pod(tenant.pool),
        JOB: _job(tenant.pool),
    }


def page(tenant: Tenant, cluster: ProviderCluster, language: str) -> str:
    """Return the page as one Markdown document, with the pod and the Job in it."""
    whole = files(tenant, cluster)
    blocks = [f"`{name}`:\n\n```yaml\n{whole[name]}```\n" for name in (POD, JOB)]
    return "\n".join([whole[PAGES[language]], *blocks])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    award: str
    organization: str
    provider: str
    gpus: int
    model: str
    cpu: int
    memory_gib: int
    storage_gib: int
    begins: str
    ends: str
    namespace: str
    contact: str | None

    @classmethod
    def of(cls, tenant: Tenant, cluster: ProviderCluster) -> _Facts:
        """Collect what both languages tell."""
        per_gpu, gpus = tenant.pool.per_gpu, tenant.gpus
        return cls(
            award=tenant.award_id,
            organization=tenant.organization,
            provider=tenant.provider,
            gpus=gpus,
            model=str(tenant.pool.model),
            cpu=gpus * per_gpu.cpu,
            memory_gib=gpus * per_gpu.memory_gib,
            storage_gib=gpus * per_gpu.storage_gib,
            begins=tenant.term_start.isoformat(sep=" ", timespec="minutes"),
            ends=tenant.term_end.isoformat(sep=" ", timespec="minutes"),
            namespace=tenant.namespace,
            contact=cluster.contact,
        )


_COMMANDS = """```
kubectl describe quota gpu
kubectl get pods
```
"""


def _first(name: str) -> str:
    key = name.replace(".", "\\.")
    return f"kubectl get configmap welcome -o jsonpath='{{.data.{key}}}' | kubectl apply -f -\n"


_START = f"```\n{_first(POD)}kubectl logs {_NAME}-pod\n```\n"
_START_JOB = f"```\n{_first(JOB)}kubectl logs job/{_NAME}-job\n```\n"


def _english(facts: _Facts) -> str:
    ask = f"Ask {facts.contact}." if facts.contact else "Ask the programme office."
    return f"""# {facts.award}: {facts.gpus} {facts.model}

{facts.organization}, namespace `{facts.namespace}` at {facts.provider}.

- {facts.gpus} {facts.model}
- {facts.cpu} CPU cores, {facts.memory_gib} GiB of memory, {facts.storage_gib} GiB of volumes
- from {facts.begins}
- to {facts.ends}: at that time all pods are ended, and the namespace is deleted with
  everything in it. Copy your results before.

What is left, and what runs:

{_COMMANDS}
A first pod; its log is there once `kubectl get pods` shows it as Completed:

{_START}
A first Job:

{_START_JOB}
Every pod has to keep the rules that these two keep: no root, no privilege, and GPUs under `resources.limits`. The nodes
with your GPUs are chosen for you. The quota `gpu` is your award; the quota `fixed`, which is the same for all, closes
other names of devices and limits the number of objects.

{ask}
"""


def _korean(facts: _Facts) -> str:
    ask = f"문의: {facts.contact}" if facts.contact else "문의: 사업 담당 기관"
    return f"""# {facts.award}: {facts.model} {facts.gpus}개

기관: {facts.organization}, 공급사: {facts.provider}, 네임스페이스: `{facts.namespace}`

- {facts.model} {facts.gpus}개
- CPU {facts.cpu}코어, 메모리 {facts.memory_gib}GiB, 볼륨 {facts.storage_gib}GiB
- 시작: {facts.begins}
- 종료: {facts.ends}. 종료 시각에 모든 파드가 종료되고 네임스페이스와 그 안의 모든
  데이터가 삭제됩니다. 결과는 미리 복사하십시오.

남은 쿼터와 실행 중인 파드 확인:

{_COMMANDS}
첫 파드(로그는 `kubectl get pods`에 Completed로 표시된 뒤 확인):

{_START}
첫 Job:

{_START_JOB}
모든 파드는 위의 두 예제와 같은 규칙을 지켜야 합니다. root와 특권 모드는 사용할 수 없고, GPU는 `resources.limits`에
적어야 합니다. GPU가 있는 노드는 자동으로 선택됩니다. 쿼터 `gpu`는 배정받은 양이고, 모든 과제에 같은 쿼터 `fixed`는
다른 장치 이름을 막고 객체 수를 제한합니다.

{ask}
"""


def _pod_spec(pool: GpuPool, margin: str) -> str:
    nvidia = pool.resource.startswith(_NVIDIA)
    image = pool.sample_image or (_NVIDIA_IMAGE if nvidia else _IMAGE)
    command = _NVIDIA_COMMAND if nvidia else _COMMAND
    text = f"""restartPolicy: Never
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  seccompProfile: {{type: RuntimeDefault}}
containers:
  - name: main
    image: {image}
    command: [sh, -c, "{command}"]
    securityContext:
      allowPrivilegeEscalation: false
      capabilities: {{drop: [ALL]}}
    resources:
      limits:
        {pool.resource}: 1
        cpu: 1
        memory: {min(_MEMORY_GIB, pool.per_gpu.memory_gib)}Gi
        ephemeral-storage: {min(_DISK_GIB, pool.per_gpu.ephemeral_gib)}Gi
"""
    return "".join(margin + line for line in text.splitlines(keepends=True))


def _pod(pool: GpuPool) -> str:
    head = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {_NAME}-pod}}\nspec:\n"
    return head + _pod_spec(pool, "  ")


def _job(pool: GpuPool) -> str:
    head = f"apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {_NAME}-job}}\nspec:\n  backoffLimit: 0\n  template:\n"
    return f"{head}    spec:\n{_pod_spec(pool, '      ')}"
